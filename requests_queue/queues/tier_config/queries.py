"""A tier configuration request with all that is shown of it."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet

from requests_queue.catalog import configured_values, sales_context, templates
from requests_queue.errors import Missing
from requests_queue.queues.tier_config import representations
from requests_queue.queues.tier_config.models import OPEN, TierConfigRequest
from requests_queue.schema import Json

RELATED_OF_CONFIG = ("account", "template")
RELATED = (
    "assignee",
    "template",
    *(f"configuration__{name}" for name in RELATED_OF_CONFIG),
    "configuration__parent__account",
    "configuration__parent__template",
)


def opened(route: str) -> Prefetch[Any]:
    """Return the open requests of configurations, which rows bring along by this route."""
    rows = TierConfigRequest.objects.filter(status__in=(*OPEN, "draft"))
    return Prefetch(route, rows.only("id", "status", "configuration"), to_attr="open_requests")


def complete(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests, each configuration with what is open and configured about it."""
    of_product = (
        configured_values.prefetch("configuration__"),
        templates.prefetch("configuration__"),
    )
    shared = *sales_context.prefetch("configuration__"), *of_product
    both = opened("configuration__requests"), opened("configuration__parent__requests")
    return rows.select_related(*RELATED).prefetch_related(*shared, *both)


def get(pk: str) -> TierConfigRequest:
    """Return a request with everything that its representation needs; raises Missing."""
    row: TierConfigRequest | None = complete(TierConfigRequest.objects.filter(pk=pk)).first()
    if row is None:
        raise Missing(pk)
    return row


def shown(pk: str) -> Json:
    """Return the representation of a request; raises Missing."""
    return representations.REQUEST.represent(get(pk))
