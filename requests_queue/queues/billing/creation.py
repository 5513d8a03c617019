"""Creation of billing requests: by either party, or by the platform at the end of a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from requests_queue import clock, ids
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Asset
from requests_queue.errors import Forbidden, Refused
from requests_queue.queues import transitions
from requests_queue.queues.billing import effects, parsing
from requests_queue.queues.billing.models import PROVIDER_TYPE, VENDOR_TYPE, BillingRequest
from requests_queue.queues.billing.parsing import Items
from requests_queue.queues.billing.representations import ITEM

TYPES = (VENDOR_TYPE, PROVIDER_TYPE)
CREATE = parsing.BillingRequestInput()
_PREFIXES = {PROVIDER_TYPE: "BRP", VENDOR_TYPE: "BRV"}
_DIGITS = 4  # of a request's number


@transitions.atomic()
def create(data: Mapping[str, Any], actor: Actor) -> BillingRequest:
    """Create the request of a `POST /subscriptions/requests` body and return it.

    The type is the caller's own where it isn't given.  Raises Invalid; Forbidden for the other
    side's type; Refused for a subscription that has never been active.
    """
    own = VENDOR_TYPE if actor.role == VENDOR else PROVIDER_TYPE
    values = CREATE.check(data)
    kind = values.get("type") or own
    if kind != own:
        raise Forbidden(f"A billing request of type {kind} is not for a {actor.role}.")
    asset = parsing.asset(values, actor)
    if asset.status in ("draft", "processing"):
        raise Refused("REQ_003", f"A subscription that is {asset.status} is not billed.")
    before = list(asset.billing_requests.filter(type=kind))
    row = build(
        asset,
        kind,
        parsing.items(values.get("items"), asset.items),
        parsing.period(values),
        clock.now(),
        before,
        effects.merged({}, values.get("attributes", {}), actor),
    )
    add(row, len(before), actor)
    return row


def add(row: BillingRequest, before: int, actor: Actor = transitions.PLATFORM) -> None:
    """Insert a built request with an unused id; the subscription has `before` of its type."""
    prefix = f"{_PREFIXES[row.type]}-"
    row.pk = ids.next_in(BillingRequest, row.asset_id, prefix, before, _DIGITS)
    transitions.add(row, actor)


def build(
    asset: Asset,
    kind: str,
    items: Items,
    period: Mapping[str, Any],
    now: datetime,
    before: Sequence[BillingRequest],
    attributes: Mapping[str, Any] | None = None,
) -> BillingRequest:
    """Return a request of a subscription, not saved.

    `period` has the columns `period_…`; `before` are its earlier requests of the type.
    """
    shown = clock.shown(now)
    return BillingRequest(
        pk=ids.child(asset.pk, f"{_PREFIXES[kind]}-", len(before) + 1, _DIGITS),
        type=kind,
        asset=asset,
        product_id=asset.product_id,
        vendor_id=asset.connection.vendor_id,
        provider_id=asset.connection.provider_id,
        items=[_billed(item, before) for item in items],
        attributes=dict(attributes or {}),
        **period,
        created=shown,
        updated=shown,
    )


def _billed(item: Mapping[str, Any], before: Sequence[BillingRequest]) -> dict[str, Any]:
    """Return an item as billing requests show it, with the number of its cycle."""
    earlier = sum(any(i["global_id"] == item["global_id"] for i in row.items) for row in before)
    return {**ITEM.represent(item), "billing": {"cycle_number": earlier + 1}}
