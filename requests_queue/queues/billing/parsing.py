"""The request bodies of the billing queue, and what they name.

Connect's document has flat names (`asset_id`, `period_from`), its published clients send nested
objects (`asset.id`, `period.from`); either is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from requests_queue.api.fields import (
    Anything,
    Choice,
    Date,
    Free,
    Id,
    Input,
    List,
    Number,
    Text,
    Values,
)
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.inputs import OrderedItemInput
from requests_queue.catalog.models import Asset
from requests_queue.errors import FieldError, Invalid
from requests_queue.queues.billing.models import PROVIDER_TYPE, VENDOR_TYPE
from requests_queue.queues.billing.periods import MONTHS

# Items as the API shows them.
Items = list[dict[str, Any]]


class AssetNameInput(Input):
    """A subscription by one of both."""

    id = Id()
    external_uid = Text()


class BilledQuantity(Anything):
    """A number, or one in a string; the subscription's where it is null."""

    openapi = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    default_error_messages = {"invalid": "A valid number is required."}

    def to_internal_value(self, data: Any) -> Any:
        """Return the quantity; raises ValidationError."""
        if isinstance(data, (bool, list, dict)):
            self.fail("invalid")
        return data


class BilledItemInput(OrderedItemInput):
    """An item by `id`, `global_id` or `mpn`."""

    quantity = BilledQuantity()


class PeriodInput(Input):
    """From when to when."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, of which one has the name of a keyword."""
        return {name: field() for name, field in _PERIOD.items()}


class AttributesInput(Input):
    """The attributes of each party."""

    vendor = Free(allow_null=True)
    provider = Free(allow_null=True)


class BillingRequestUpdate(AttributesInput):
    """The caller's own attributes, alone or below `attributes`."""

    attributes = AttributesInput(allow_null=True)


class BillingRequestInput(Input):
    """A new billing request, in the flat form of Connect's document or in the nested one."""

    type = Choice((VENDOR_TYPE, PROVIDER_TYPE), allow_null=True, allow_blank=True)
    asset = AssetNameInput(allow_null=True)
    asset_id = Id()
    asset_external_uid = Text()
    items = List(BilledItemInput())
    attributes = AttributesInput(allow_null=True)
    period = PeriodInput(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, those of a period in the flat form too."""
        flat = {f"period_{name}": field() for name, field in _PERIOD.items()}
        return super().get_fields() | flat


_PERIOD: dict[str, Callable[[], Any]] = {
    "from": Date,
    "to": Date,
    "delta": partial(Number, allow_null=True),
    "uom": partial(Choice, MONTHS, allow_null=True),
}


def asset(values: Values, actor: Actor) -> Asset:
    """Return the subscription that the body names, locked; raises Invalid.

    The lock makes the count behind the request's number hold until commit.
    """
    nested = values.get("asset", {})
    rows = Asset.objects.select_for_update(of=("self",)).select_related("connection")
    mine = rows.filter(**visibility.party(actor.account, "connection__"))
    for name, column in (("id", "pk"), ("external_uid", "external_uid")):
        named = nested.get(name) or values.get(f"asset_{name}")
        if not named:
            continue
        row = mine.filter(**{column: named}).order_by("pk").first()
        if row is None:
            message = f"Subscription {named} does not exist."
            raise Invalid(f"asset.{name}", message, "does_not_exist")
        return row
    raise Invalid("asset.id", "This field is required.", "required")


def period(values: Values) -> dict[str, Any]:
    """Return the columns of the body's period; raises Invalid with all that is wrong."""
    flat = {name: values.get(f"period_{name}") for name in _PERIOD}
    nested = {k: v for k, v in values.get("period", {}).items() if v is not None}
    given = flat | nested
    errors = [
        FieldError(f"period.{name}", "This field is required.", "required")
        for name, value in given.items()
        if value is None
    ]
    if given["delta"] is not None and not 0 < given["delta"] < 10**9:
        errors.append(FieldError("period.delta", "A number above 0 is required."))
    if given["from"] and given["to"] and given["from"] >= given["to"]:
        errors.append(FieldError("period.to", "The period ends before it starts."))
    if errors:
        raise Invalid.of(errors)
    return {f"period_{name}": value for name, value in given.items()}


def items(given: list[Values] | None, held: Items) -> Items:
    """Return those of the subscription's items that are billed, with their quantities.

    A quantity that isn't given is the subscription's.  Raises Invalid.
    """
    if not given:
        raise Invalid("items", "This list may not be empty.", "empty")
    known: dict[str, dict[str, Any]] = {}
    for name in ("mpn", "id", "global_id"):
        known |= {row[name]: row for row in held}
    billed: dict[str, dict[str, Any]] = {}
    for entry in given:
        names = [entry[key] for key in ("global_id", "id", "mpn") if entry.get(key)]
        row = next((known[name] for name in names if name in known), None)
        if row is None:
            named = names[0] if names else "(without id)"
            raise Invalid("items", f"Item {named} is not in the subscription.")
        billed[row["global_id"]] = {**row, "quantity": _quantity(entry.get("quantity"), row)}
    return list(billed.values())


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
