"""What changes a billing request after its birth: the attributes of each side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests_queue import clock, transitions
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.errors import Forbidden, Invalid, Missing
from requests_queue.queues.billing.models import BillingRequest

SIDES = ("vendor", "provider")


def set_attributes(pk: str, data: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """Replace the caller's side of the attributes and return both; a change is a queue change.

    Raises Invalid, and Forbidden for the other side's.
    """
    with transitions.atomic():
        row = BillingRequest.objects.select_for_update(of=("self",)).filter(pk=pk).first()
        if row is None:
            raise Missing(pk)
        attributes = merged(row.attributes, data, actor, "")
        if attributes != row.attributes:
            now = clock.now()
            row.attributes, row.updated = attributes, clock.shown(now)
            row.save(update_fields=["attributes", "updated"])
            transitions.emit_unchanged(row, now)
    return attributes


def merged(held: Mapping[str, Any], given: Any, actor: Actor, path: str) -> dict[str, Any]:
    """Return the attributes that result from what a caller gives; raises Invalid, Forbidden.

    A client sends back what it read, so the other side's are only refused where they differ.
    """
    if given is None:
        return dict(held)
    if not isinstance(given, Mapping):
        raise Invalid(f"{path.rstrip('.') or 'attributes'}", "Expected an object.")
    own = "vendor" if actor.role == VENDOR else "provider"
    found = dict(held)
    for side in SIDES:
        if given.get(side) is None:
            continue
        if not isinstance(given[side], Mapping):
            raise Invalid(f"{path}{side}", "Expected an object.")
        if side != own and given[side] != held.get(side, {}):
            raise Forbidden(f"The attributes of the {side} are not for a {actor.role}.")
        if side == own:
            found[side] = dict(given[side])
    return found
