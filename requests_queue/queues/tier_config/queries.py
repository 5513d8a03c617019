"""Queries of tier configuration requests with what their representations need."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from requests_queue.catalog import configured_values, sales_context, templates
from requests_queue.catalog.models.accounts import name_by
from requests_queue.errors import Missing
from requests_queue.queues.tier_config import representations
from requests_queue.queues.tier_config.models import OPEN, TierConfigRequest
from requests_queue.queues.tier_config.setup import SCOPES
from requests_queue.schema import Json

RELATED_OF_CONFIG = ("account", "template")
RELATED = (
    "assignee",
    "template",
    *(f"configuration__{name}" for name in RELATED_OF_CONFIG),
    "configuration__parent__account",
    "configuration__parent__template",
)


def prefetch_open(route: str) -> Prefetch[Any]:
    """Return the prefetch of a configuration's open requests and drafts by this lookup."""
    rows = TierConfigRequest.objects.filter(status__in=(*OPEN, "draft"))
    return Prefetch(route, rows.only("id", "status", "configuration"), to_attr="open_requests")


def with_related(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests with everything that their representations need."""
    of_product = (
        configured_values.prefetch("configuration__"),
        templates.prefetch("configuration__"),
    )
    shared = *sales_context.prefetch("configuration__"), *of_product
    both = (
        prefetch_open("configuration__requests"),
        prefetch_open("configuration__parent__requests"),
    )
    return rows.select_related(*RELATED).prefetch_related(*shared, *both)


def with_shown(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the requests with the name of who works on them and the template, as shown."""
    template = templates.shown_id(
        {scope: Q(configuration__tier_level=level) for level, scope in SCOPES.items()}
    )
    result: QuerySet[Any] = rows.alias(assignee_name=name_by("assignee__"), template_shown=template)
    return result


def get(pk: str) -> TierConfigRequest:
    """Return a request with everything that its representation needs; raises Missing."""
    row: TierConfigRequest | None = with_related(TierConfigRequest.objects.filter(pk=pk)).first()
    if row is None:
        raise Missing(pk)
    return row


def shown(pk: str) -> Json:
    """Return the representation of a request; raises Missing."""
    return representations.REQUEST.represent(get(pk))
