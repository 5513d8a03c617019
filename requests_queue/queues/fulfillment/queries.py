"""Queries of fulfillment requests with what their representations need."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from requests_queue.catalog import configured_values, sales_context, templates
from requests_queue.errors import Missing
from requests_queue.queues.fulfillment import representations
from requests_queue.queues.fulfillment.models import Request
from requests_queue.schema import Json

RELATED = ("assignee", "template", "asset__customer", "asset__tier1", "asset__tier2")


def with_related(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests with everything that their representations need."""
    of_product = configured_values.prefetch("asset__"), templates.prefetch("asset__")
    shared = *sales_context.prefetch("asset__"), *of_product
    return rows.select_related(*RELATED).prefetch_related(*shared)


def get(pk: str) -> Request:
    """Return a request with everything that its representation needs; raises Missing."""
    row: Request | None = with_related(Request.objects.filter(pk=pk)).first()
    if row is None:
        raise Missing(pk)
    return row


def shown(pk: str) -> Json:
    """Return the representation of a request; raises Missing."""
    return representations.request(get(pk))
