"""The objects of a queue that an account may see: counts, filters, and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.utils import NotRelationField, get_fields_from_path
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Count, F, Model, Q, QuerySet, Value
from django.http import Http404
from django.shortcuts import get_object_or_404

from portal.identity import Viewer
from portal.queues import actions, labels, next_step
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account
from requests_queue.queues import base
from requests_queue.queues.base import Queue, QueueObject

MAX_CARDS = 8  # in a column of the board
MAX_PRODUCTS = 200  # in a filter
# The name of what an object is about: the first of these paths that the model has.
_ABOUT = (
    "asset__customer__name",
    "configuration__account__name",
    "account__name",
    "name",
    "subject",
    "listing__contract__marketplace__name",
)
_SEARCHED = (
    "id",
    "asset__id",
    "asset__external_id",
    "configuration__id",
    "listing__id",
    "external_id",
    "account__external_id",
    "asset__customer__id",
    "asset__tier1__id",
    "asset__tier2__id",
    "configuration__account__id",
    "account__id",
)


def find(name: str) -> Queue:
    """Return the queue of a name in a URL; raises Http404."""
    queue = base.find_queue(name)
    if queue is None:
        raise Http404
    return queue


def find_object(name: str, pk: str, account: Account) -> tuple[Queue, QueueObject]:
    """Return a queue and an object that the account may see; raises Http404."""
    queue = find(name)
    rows = queue.model.visible_to(account).select_related(
        "product", "vendor", "provider", "assignee__account"
    )
    return queue, get_object_or_404(rows, pk=pk)


def counts(rows: QuerySet[Any]) -> dict[str, int]:
    """Return the number of objects by status; one statement."""
    return dict(rows.order_by().values_list("status").annotate(n=Count("pk")))


def filtered(queue: Queue, account: Account, query: Mapping[str, str]) -> QuerySet[Any]:
    """Return the account's objects, filtered by `type`, `product` and the search `q`."""
    rows = queue.model.listed_to(account)
    if query.get("type") in queue.types:
        rows = rows.filter(type=query["type"])
    if product := query.get("product"):
        rows = rows.filter(product=product)
    if words := query.get("q", "").strip():
        matches = Q()
        for path in (r for r in (*_SEARCHED, *_ABOUT) if _has_path(queue.model, r)):
            matches |= Q(**{f"{path}__icontains": words})
        rows = rows.filter(matches)
    return rows


def products(account: Account) -> list[tuple[str, str]]:
    """Return the products to filter by: (id, name)."""
    rows = visibility.products(account).order_by("name", "pk")
    return list(rows.values_list("pk", "name")[:MAX_PRODUCTS])


def columns(queue: Queue, viewer: Viewer, rows: QuerySet[Any]) -> list[dict[str, Any]]:
    """Return a column for each status: the number of its objects, the newest, what they wait for.

    Executes one statement for each status that has objects.
    """
    by_status = counts(rows)
    return [
        {
            "status": status,
            "count": by_status.get(status, 0),
            "cards": cards(queue, viewer, rows.filter(status=status)[:MAX_CARDS])
            if by_status.get(status)
            else [],
            "waiting": next_step.of_status(queue, status, viewer.role),
        }
        for status in queue.status_names
    ]


def cards(queue: Queue, viewer: Viewer, rows: QuerySet[Any]) -> list[Any]:
    """Return the objects with `about`, the `other` party, and `button`, the usual action.

    Only columns that this needs are read.
    """
    about = next((F(path) for path in _ABOUT if _has_path(queue.model, path)), Value(""))
    other = F("provider__name" if viewer.account.is_vendor else "vendor__name")
    optional = [name for name in ("type", "params") if _has_path(queue.model, name)]
    shown = (
        rows.annotate(about=about, other=other)
        .select_related("product")
        .only("status", "product__name", "vendor", "provider", "created", "updated", *optional)
    )
    for row in (found := list(shown)):
        row.button = actions.usual(queue, row, viewer)
    return found


def summaries(account: Account) -> list[tuple[Queue, str, int, list[tuple[str, int]], bool]]:
    """Return each queue with its name, total, counts by status, and whether it has samples.

    One statement for each queue.
    """
    summaries = []
    for queue in base.registered():
        by_status = counts(queue.model.listed_to(account))
        shown = [(each, by_status[each]) for each in queue.status_names if by_status.get(each)]
        name, total = labels.name_of(queue), sum(by_status.values())
        summaries.append((queue, name, total, shown, queue.sample is not None))
    return summaries


def _has_path(model: type[Model], path: str) -> bool:
    """Whether an ORM path exists on the model."""
    try:
        return bool(get_fields_from_path(model, path))
    except (FieldDoesNotExist, NotRelationField):
        return False
