"""Changes of a billing request: the attributes of each side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests_queue import clock
from requests_queue.api.fields import Values
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden
from requests_queue.queues import transitions
from requests_queue.queues.billing.models import BillingRequest

SIDES = ("vendor", "provider")


@transitions.atomic()
def set_attributes(pk: str, values: Values, actor: Actor) -> dict[str, Any]:
    """Replace the caller's side of the attributes and return both; a change is a queue change.

    Raises Forbidden for those of the other party.
    """
    row = get_row(BillingRequest.objects.select_for_update(of=("self",)), pk)
    attributes = merged(row.attributes, values, actor)
    if attributes != row.attributes:
        now = clock.now()
        row.attributes, row.updated = attributes, clock.shown(now)
        row.save(update_fields=["attributes", "updated"])
        transitions.emit_unchanged(row, now)
    return attributes


def merged(held: Mapping[str, Any], values: Values, actor: Actor) -> dict[str, Any]:
    """Return the attributes with the caller's own replaced; raises Forbidden.

    A client sends back what it read: the other party's are refused only if they differ.
    """
    own = "vendor" if actor.role == VENDOR else "provider"
    attributes = dict(held)
    for side in SIDES:
        if side in values and side != own and values[side] != held.get(side, {}):
            raise Forbidden(f"The attributes of the {side} are not for a {actor.role}.")
    if own in values:
        attributes[own] = values[own]
    return attributes
