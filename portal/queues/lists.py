"""The objects of a queue as an account sees them: counted, filtered, as cards and as rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Count, Model, Q, QuerySet

from portal.queues import labels
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Product
from requests_queue.errors import Missing
from requests_queue.queues import base
from requests_queue.queues.base import Queue, QueueObject

# A column of the board shows so many; its list shows them all.
SHOWN = 8
# A filter offers so many products.
OFFERED = 200
# Whom or what an object is about, in a word: the first of these that a queue's objects have.
_ABOUT = ("asset__customer__name", "configuration__account__name", "account__name", "name",
          "subject", "listing__contract__marketplace__name")  # fmt: skip
_SEARCHED = ("id", "asset__id", "asset__external_id", "configuration__id", "listing__id",
             "external_id", "account__external_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Card:
    """What a board or a list shows of an object."""

    pk: str
    kind: str
    status: str
    product: Product
    about: str
    other: str
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """The objects of a status: how many, and the newest."""

    status: str
    count: int
    cards: tuple[Card, ...]


def find(name: str) -> Queue:
    """Return the queue of a name in an address; raises Missing."""
    queue = base.find_queue(name)
    if queue is None:
        raise Missing(name)
    return queue


def find_object(name: str, pk: str, account: Account) -> tuple[Queue, QueueObject]:
    """Return an object that the account sees, and its queue; raises Missing."""
    queue = find(name)
    rows = queue.model.visible_to(account).select_related("product", "vendor", "provider")
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Missing(pk)
    return queue, row


def counts(rows: QuerySet[Any]) -> dict[str, int]:
    """Return how many objects there are by status; one statement."""
    return dict(rows.order_by().values_list("status").annotate(n=Count("pk")))


def filtered(queue: Queue, account: Account, asked: Mapping[str, str]) -> QuerySet[Any]:
    """Return the account's objects of a type, of a product, and found by `q`, as far as asked."""
    rows = queue.model.visible_to(account)
    if asked.get("type") in queue.types:
        rows = rows.filter(type=asked["type"])
    if product := asked.get("product"):
        rows = rows.filter(product=product)
    if wanted := asked.get("q", "").strip():
        found = Q()
        for route in (r for r in (*_SEARCHED, *_ABOUT) if _leads(queue.model, r)):
            found |= Q(**{f"{route}__icontains": wanted})
        rows = rows.filter(found)
    return rows


def products(account: Account) -> list[tuple[str, str]]:
    """Return the products to filter by: (id, name)."""
    rows = visibility.products(account).order_by("name", "pk")
    return list(rows.values_list("pk", "name")[:OFFERED])


def columns(queue: Queue, account: Account, rows: QuerySet[Any]) -> list[BoardColumn]:
    """Return the board: a column for each status, a statement for each that has objects."""
    found = counts(rows)
    return [
        BoardColumn(
            status, found.get(status, 0),
            tuple(cards(queue, account, rows.filter(status=status)[:SHOWN]))
            if found.get(status) else (),
        )
        for status in queue.status_names
    ]  # fmt: skip


def cards(queue: Queue, account: Account, rows: QuerySet[Any]) -> list[Card]:
    """Return objects as cards, with the columns that those show and no others."""
    about = next((r for r in _ABOUT if _leads(queue.model, r)), "pk")
    other = "provider__name" if account.is_vendor else "vendor__name"
    kind = ("type",) if _leads(queue.model, "type") else ()
    names = ("pk", "status", "product_id", "product__name", about, other, "created", "updated")
    return [
        Card(
            row["pk"], row.get("type", ""), row["status"],
            Product(pk=row["product_id"], name=row["product__name"]),
            row[about] if about != "pk" else "", row[other], row["created"], row["updated"],
        )
        for row in rows.values(*names, *kind)
    ]  # fmt: skip


def digest(shown: Iterable[Any]) -> str:
    """Return what stays the same as long as what is shown does."""
    return hashlib.sha256(repr(list(shown)).encode()).hexdigest()[:16]


def column_state(column: BoardColumn) -> tuple[Any, ...]:
    """Return of a column what a change of it would change."""
    return (column.status, column.count, *((card.pk, card.updated) for card in column.cards))


def summaries(account: Account) -> list[tuple[Queue, str, int, list[tuple[str, int]], bool]]:
    """Return all queues, each with its name, its total, its counts, and whether it has samples; a
    statement each.
    """
    found = []
    for queue in base.registered():
        counted = counts(queue.model.visible_to(account))
        shown = [(status, counted[status]) for status in queue.status_names if counted.get(status)]
        name, total = labels.name_of(queue), sum(counted.values())
        found.append((queue, name, total, shown, queue.sample is not None))
    return found


def _leads(model: type[Model], route: str) -> bool:
    """Whether the model has what an ORM route leads to."""
    at: type[Model] | None = model
    for name in route.split("__"):
        try:
            field = at._meta.get_field(name) if at is not None else None
        except FieldDoesNotExist:
            return False
        if field is None:
            return False
        at = field.related_model if isinstance(field.related_model, type) else None
    return True
