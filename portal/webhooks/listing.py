"""The list of webhooks: search, filters and sorting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, OrderBy, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest

from webhooks import next_attempt, types
from webhooks.models import Attempt, Webhook

STATUSES = {
    "enabled": ("Enabled", Q(active=True)),
    "disabled": ("Disabled", Q(active=False)),
    # A success that was already in flight resets the failures, but doesn't end the backoff.
    "failing": (
        "Failing",
        Q(active=True, out_of_order=False) & (Q(failure_since_last_success__gt=0) | Q(round__gt=0)),
    ),
    "out-of-order": ("Out of order", Q(active=True, out_of_order=True)),
}
_LISTED = (
    "label",
    "description",
    "type",
    "object_class",
    "active",
    "out_of_order",
    "round",
    "failure_since_last_success",
    "account",
    "product__name",
    "triggers",
    "earliest_possible_trigger",
    *(
        f"last_{end}__{name}"
        for end in ("success", "failure")
        for name in ("finished_at", "outcome", "status_code", "delivery_id")
    ),
)
_ORDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "name": ("Name", ("label",)),
    "product": ("Product", ("product__name",)),
    "type": ("Type", ("object_class", "type")),
    "status": ("Status", ("active", "out_of_order", "round", "failure_since_last_success")),
    "response": ("Last response", ("last_response_at",)),
    "next": ("Next attempt", ("next_attempt_at",)),
    "success": ("Last success at", ("last_success__finished_at",)),
}

_SUCCESS_AT, _FAILURE_AT = F("last_success__finished_at"), F("last_failure__finished_at")
# SQLite's maximum of a time and NULL is NULL.
_LAST_RESPONSE_AT = Greatest(Coalesce(_SUCCESS_AT, _FAILURE_AT), Coalesce(_FAILURE_AT, _SUCCESS_AT))


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the query requests; empty for no restriction. `-` before `sort` reverses it."""

    q: str
    status: str
    product: str
    type: str
    sort: str

    @property
    def is_filtered(self) -> bool:
        """Whether webhooks may be left out."""
        return bool(self.q or self.status or self.product or self.type)


def parse(query: Mapping[str, str]) -> ListQuery:
    """Return what a query requests, without unknown values."""
    values = {name: query.get(name, "").strip() for name in ListQuery.__slots__}
    if values["status"] not in STATUSES:
        values["status"] = ""
    if values["sort"].removeprefix("-") not in _ORDERS:
        values["sort"] = ""
    return ListQuery(**values)


def rows(own: QuerySet[Webhook], query: ListQuery, now: datetime) -> QuerySet[Webhook]:
    """Return the requested webhooks in the requested order."""
    result = own.select_related("product", "last_success", "last_failure").only(*_LISTED)
    result = result.annotate(**next_attempt.backoff_end(now), last_response_at=_LAST_RESPONSE_AT)
    if query.q:
        result = result.filter(
            Q(label__icontains=query.q)
            | Q(pk__icontains=query.q)
            | Q(external_url__icontains=query.q)
            | Q(description__icontains=query.q)
        )
    if query.status:
        result = result.filter(STATUSES[query.status][1])
    if query.product:
        result = result.filter(product=query.product)
    if query.type:
        type_, _, object_class = query.type.partition(":")
        result = result.filter(type=type_, object_class=object_class)
    return result.order_by(*_order(query.sort), "-created_at", "pk")


def last_response(row: Webhook) -> Attempt | None:
    """Return the last attempt with a known outcome."""
    last = [each for each in (row.last_success, row.last_failure) if each]
    return max(last, key=lambda each: each.finished_at, default=None)


def _order(sort: str) -> list[OrderBy]:
    _, fields = _ORDERS.get(sort.removeprefix("-"), ("", ()))
    return [OrderBy(F(name), descending=sort.startswith("-"), nulls_last=True) for name in fields]


def columns(sort: str) -> list[dict[str, str]]:
    """Return the column headers: a label, the `sort` of its link, and the current direction."""
    return [
        {
            "label": label,
            "sort": f"-{name}" if sort == name else name,
            "direction": {name: "ascending", f"-{name}": "descending"}.get(sort, ""),
        }
        for name, (label, _) in _ORDERS.items()
    ]


def choices(own: QuerySet[Webhook], query: ListQuery) -> dict[str, Any]:
    """Return the choices of the filters: values of the account's webhooks, and the selected."""
    products = dict(
        own.order_by("product__name").values_list("product", "product__name").distinct()
    )
    pairs = own.order_by("object_class", "type").values_list("type", "object_class").distinct()
    kinds = {f"{type_}:{of}": types.label(type_, of) for type_, of in pairs}
    if query.product:
        products.setdefault(query.product, query.product)
    if query.type:
        kinds.setdefault(query.type, query.type)
    return {
        "statuses": [(name, label) for name, (label, _) in STATUSES.items()],
        "products": list(products.items()),
        "types": list(kinds.items()),
    }
