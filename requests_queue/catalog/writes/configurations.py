"""A vendor's POST of the value of a configuration parameter: set, replaced, or cleared."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from requests_queue import clock
from requests_queue.api.fields import Anything, Input, Reference, Text, Values
from requests_queue.catalog import visibility
from requests_queue.catalog.models import (
    Configuration,
    Item,
    Marketplace,
    Parameter,
    Product,
)
from requests_queue.catalog.parameter_values import STRUCTURED
from requests_queue.catalog.representations.parameters import parameter_by_id
from requests_queue.catalog.writes import products
from requests_queue.db.rows import get_named
from requests_queue.errors import Invalid

# What a value of each scope is about besides the product.
_ABOUT = {
    "product": (),
    "item": ("item",),
    "marketplace": ("marketplace",),
    "item_marketplace": ("item", "marketplace"),
}


class ConfigurationInput(Input):
    """A value to configure; none clears it."""

    parameter = Reference(required=True)
    item = Reference(allow_null=True)
    marketplace = Reference(allow_null=True)
    value = Text(2000, null_value=None)
    structured_value = Anything()


@transaction.atomic
def put(product: Product, values: Values) -> Configuration:
    """Set a value of `ConfigurationInput`; raises Invalid.

    None clears it, as connect-cli's `delete` does; what is returned then isn't stored.
    """
    row_of, now = products.begin_change(product), clock.shown(clock.now())
    parameter = _parameter(product, values["parameter"])
    item, marketplace = _about(row_of, parameter, values)
    key = {"parameter": parameter, "item": item, "marketplace": marketplace}
    row = Configuration.objects.filter(**key).first() or Configuration(
        product=product, **key, created=now
    )
    row.value, row.structured_value = _value(parameter, values)
    row.updated = now
    if row.value is None and row.structured_value is None:
        Configuration.objects.filter(**key).delete()
    else:
        row.save()
    return row


def _parameter(product: Product, pk: str) -> Parameter:
    row = Parameter.objects.filter(parameter_by_id(pk), product=product).first()
    if row is None:
        raise Invalid("parameter.id", f"Parameter {pk} does not exist.", "does_not_exist")
    if row.phase != "configuration" or row.scope not in _ABOUT:
        raise Invalid("parameter.id", f"{pk} is not a parameter of the configuration phase.")
    return row


def _about(
    product: Product, parameter: Parameter, values: Values
) -> tuple[Item | None, Marketplace | None]:
    """Return the item and the marketplace that the value is about; raises Invalid."""
    among: dict[str, QuerySet[Any]] = {
        "item": Item.objects.filter(product=product),
        "marketplace": visibility.marketplaces(product.owner),
    }
    rows: dict[str, Any] = {}
    for name, pk in ((name, values.get(name)) for name in among):
        if name not in _ABOUT[parameter.scope]:
            if pk is not None:
                raise Invalid(name, f"A parameter of scope {parameter.scope} has none.")
        elif pk is None:
            raise Invalid(name, "This field is required.", "required")
        else:
            rows[name] = get_named(among[name], pk, f"{name}.id", name.capitalize())
    return rows.get("item"), rows.get("marketplace")


def _value(parameter: Parameter, values: Values) -> tuple[str | None, Any]:
    value, structured = values.get("value"), values.get("structured_value")
    if structured in ("", {}):
        structured = None
    if structured is not None and parameter.type not in STRUCTURED:
        raise Invalid("structured_value", f"A {parameter.type} has none.")
    if structured is not None and not isinstance(structured, dict):
        raise Invalid("structured_value", "Expected an object.")
    choices = [choice["value"] for choice in parameter.constraints.get("choices") or ()]
    if value and parameter.type in ("dropdown", "choice") and value not in choices:
        raise Invalid("value", f'"{value}" is not a valid choice.', "invalid_choice")
    return value, structured
