"""`/tier/account-requests`: what Connect serves of the tier account queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests_queue.api.schema import Documented
from requests_queue.catalog.actors import Actor
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.services import Service
from requests_queue.queues.tier_account import creation, rules
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.queues.tier_account.representations import TIER_ACCOUNT_REQUEST

_RELATED = (
    *TIER_ACCOUNT_REQUEST.related,
    "account__account__owner",
    "account__hub",
    "account__parent",
)


def _create(data: Mapping[str, Any], actor: Actor) -> TierAccountRequest:
    """Change a tier account and return one of the new requests, if possible a pending one."""
    rows = creation.create(data, actor)
    return min(rows, key=lambda row: (row.status != "pending", row.pk))


class TierAccountRequests(QueueCollection):
    """`/tier/account-requests`: for both parties; distributors create, vendors decide."""

    documented = Documented("Tiers", "tier account request", TIER_ACCOUNT_REQUEST)
    bodies = {"create": creation.BODY}
    queue = rules.QUEUE
    service = Service(
        complete=lambda rows: rows.select_related(*_RELATED),
        represent=TIER_ACCOUNT_REQUEST.represent,
        create=_create,
    )
    # Connect has no such calls here.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]


urlpatterns = queue_routes("tier/account-requests", TierAccountRequests)
