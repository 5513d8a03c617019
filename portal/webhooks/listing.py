"""The list of webhooks: what its query asks for, and what can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, OrderBy, Q, QuerySet

from webhooks import types
from webhooks.models import Webhook

STATUSES = {
    "enabled": ("Enabled", Q(active=True)),
    "disabled": ("Disabled", Q(active=False)),
    # A success that was in flight when backoff began leaves the backoff, but no failure since.
    "failing": (
        "Failing",
        Q(active=True, out_of_order=False) & (Q(failure_since_last_success__gt=0) | Q(round__gt=0)),
    ),
    "out-of-order": ("Out of order", Q(active=True, out_of_order=True)),
}
# What a list shows of a row, and so all that it reads.
_SHOWN = (
    "label", "description", "type", "object_class", "active", "out_of_order",
    "round", "failure_since_last_success", "account", "product__name",
    "last_success__finished_at",
)  # fmt: skip
_ORDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "name": ("Name", ("label",)),
    "product": ("Product", ("product__name",)),
    "type": ("Type", ("object_class", "type")),
    "success": ("Last success at", ("last_success__finished_at",)),
    "description": ("Description", ("description",)),
    "status": ("Status", ("active", "out_of_order", "round", "failure_since_last_success")),
}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What is asked for: empty where anything will do; `sort` is a column, `-` first to reverse."""

    q: str
    status: str
    product: str
    type: str
    sort: str

    @property
    def is_narrow(self) -> bool:
        """Whether some webhooks may have been left out."""
        return bool(self.q or self.status or self.product or self.type)


@dataclass(frozen=True, slots=True)
class SortColumn:
    """A column: its name, the `sort` of its link, and whether the rows stand in its order."""

    label: str
    sort: str
    order: str


def asked(query: Mapping[str, str]) -> ListQuery:
    """Return what a query asks for."""
    found = {name: query.get(name, "").strip() for name in ListQuery.__slots__}
    if found["status"] not in STATUSES:
        found["status"] = ""
    if found["sort"].removeprefix("-") not in _ORDERS:
        found["sort"] = ""
    return ListQuery(**found)


def rows(own: QuerySet[Webhook], wanted: ListQuery) -> QuerySet[Webhook]:
    """Return the account's webhooks that are asked for, in the order that is asked for."""
    found = own.select_related("product", "last_success").only(*_SHOWN)
    if wanted.q:
        found = found.filter(
            Q(label__icontains=wanted.q) | Q(pk__icontains=wanted.q)
            | Q(external_url__icontains=wanted.q) | Q(description__icontains=wanted.q)
        )  # fmt: skip
    if wanted.status:
        found = found.filter(STATUSES[wanted.status][1])
    if wanted.product:
        found = found.filter(product=wanted.product)
    if wanted.type:
        type_, _, object_class = wanted.type.partition(":")
        found = found.filter(type=type_, object_class=object_class)
    return found.order_by(*_order(wanted.sort), "-created_at", "pk")


def _order(sort: str) -> list[OrderBy]:
    down = sort.startswith("-")
    _, fields = _ORDERS.get(sort.removeprefix("-"), ("", ()))
    return [OrderBy(F(name), descending=down, nulls_last=True) for name in fields]


def columns(sort: str) -> list[SortColumn]:
    """Return the columns, each with the order that a click on it asks for."""
    return [
        SortColumn(
            label,
            f"-{name}" if sort == name else name,
            {name: "ascending", f"-{name}": "descending"}.get(sort, ""),
        )
        for name, (label, _) in _ORDERS.items()
    ]


def choices(own: QuerySet[Webhook], wanted: ListQuery) -> dict[str, Any]:
    """Return what the filters offer: what the account's webhooks have, and what is chosen."""
    products = dict(
        own.order_by("product__name").values_list("product", "product__name").distinct()
    )
    pairs = own.order_by("object_class", "type").values_list("type", "object_class").distinct()
    kinds = {f"{type_}:{of}": types.label(type_, of) for type_, of in pairs}
    if wanted.product:
        products.setdefault(wanted.product, wanted.product)
    if wanted.type:
        kinds.setdefault(wanted.type, wanted.type)
    return {
        "statuses": [(name, label) for name, (label, _) in STATUSES.items()],
        "products": list(products.items()),
        "types": list(kinds.items()),
    }
