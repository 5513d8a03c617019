"""What the body of a `POST /subscriptions/requests` says, nested or flat, checked.

Connect's document has flat names (`asset_id`, `period_from`), its published clients send nested
objects (`asset.id`, `period.from`); either is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from requests_queue import body
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Asset
from requests_queue.errors import FieldError, Invalid
from requests_queue.queues.billing.periods import MONTHS

# Items as the API shows them.
Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Period:
    """What is billed: from when to when, in how many of which unit."""

    start: datetime
    end: datetime
    delta: float
    uom: str


def asset(data: Mapping[str, Any], actor: Actor) -> Asset:
    """Return the subscription that the body names, locked; raises Invalid.

    The lock makes the count behind the request's number hold until commit.
    """
    nested = body.mapping(data.get("asset"), "asset")
    side = "vendor" if actor.role == VENDOR else "provider"
    mine = (
        Asset.objects.select_for_update(of=("self",))
        .select_related("connection")
        .filter(**{f"connection__{side}": actor.account})
    )
    for name, column in (("id", "pk"), ("external_uid", "external_uid")):
        read = body.word if name == "id" else body.label
        flat = read(data, f"asset_{name}")
        wanted = read(nested, name, within="asset.") or flat
        if not wanted:
            continue
        found = mine.filter(**{column: wanted}).order_by("pk").first()
        if found is None:
            raise Invalid(f"asset.{name}", f"Subscription {wanted} does not exist.")
        return found
    raise Invalid("asset.id", "This field is required.")


def period(data: Mapping[str, Any]) -> Period:
    """Return the period of the body; raises Invalid with all that is wrong."""
    nested = body.mapping(data.get("period"), "period")
    given = {
        name: nested[name] if nested.get(name) is not None else data.get(f"period_{name}")
        for name in ("from", "to", "delta", "uom")
    }
    errors: list[FieldError] = []
    moments: list[datetime] = []
    for name in ("from", "to"):
        try:
            moments.append(body.moment(given[name], f"period.{name}"))
        except Invalid as wrong:
            errors += wrong.errors
    delta, uom = given["delta"], given["uom"]
    if delta is None:
        errors.append(FieldError("period.delta", "This field is required.", "required"))
    elif not _is_number(delta) or delta <= 0:
        errors.append(FieldError("period.delta", "A number above 0 is required."))
    if uom is None:
        errors.append(FieldError("period.uom", "This field is required.", "required"))
    elif not isinstance(uom, str) or uom not in MONTHS:
        errors.append(FieldError("period.uom", f'"{uom}" is not a valid choice.'))
    if len(moments) == 2 and moments[0] >= moments[1]:
        errors.append(FieldError("period.to", "The period ends before it starts."))
    if errors:
        raise Invalid.of(errors)
    return Period(moments[0], moments[1], float(delta or 0), str(uom))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 10**9 and math.isfinite(value)


def items(given: Any, held: Items) -> Items:
    """Return those of the subscription's items that are billed, with their quantities.

    `given` is `[{"id" | "global_id" | "mpn", "quantity"?}]`; a quantity that isn't given is the
    subscription's.  Raises Invalid.
    """
    if not isinstance(given, list) or not given:
        raise Invalid("items", "This list may not be empty.")
    known: dict[str, dict[str, Any]] = {}
    for name in ("mpn", "id", "global_id"):
        known |= {row[name]: row for row in held}
    found: dict[str, dict[str, Any]] = {}
    for entry in given:
        if not isinstance(entry, Mapping):
            raise Invalid("items", "Each item is an object with an id.")
        names = [entry[k] for k in ("global_id", "id", "mpn") if isinstance(entry.get(k), str)]
        row = next((known[name] for name in names if name in known), None)
        if row is None:
            said = names[0] if names else "(without id)"
            raise Invalid("items", f"Item {said} is not in the subscription.")
        found[row["global_id"]] = {**row, "quantity": _quantity(entry.get("quantity"), row)}
    return list(found.values())


def _quantity(given: Any, row: Mapping[str, Any]) -> float:
    if given is None:
        return quantity(row)
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if isinstance(given, bool) or not 0 <= number < 10**9:
        raise Invalid("items", f"Quantity of {row['id']} is not a number from 0.")
    return number


def quantity(row: Mapping[str, Any]) -> float:
    """Return what a subscription has of an item, as a number; of unlimited ones nothing."""
    try:
        return float(row["quantity"])
    except ValueError:
        return 0.0
