"""A vendor's POST, PUT and DELETE of a parameter."""

from __future__ import annotations

import re
from typing import Any

from django.core.validators import RegexValidator
from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.models import Parameter, Product
from requests_queue.catalog.writes import constraints, products
from requests_queue.errors import Invalid
from requests_queue.fields import AnyCaseChoice, Anything, Input, Text, Values

TYPES = (
    "text", "dropdown", "password", "email", "checkbox", "subdomain", "domain", "address",
    "phone", "object", "url", "choice", "heading", "content",
)  # fmt: skip
STRUCTURED = ("address", "phone", "checkbox", "object")
ORDERED, CONFIGURED = ("asset", "tier1", "tier2"), (
    "product", "item", "marketplace", "item_marketplace",
)  # fmt: skip
# Which scopes each phase has: published tools refuse other pairs.
PHASES = {"ordering": ORDERED, "fulfillment": ORDERED, "configuration": CONFIGURED}
# Not in the form of an id, which is another way to name a parameter.
_NAME = RegexValidator(
    re.compile(r"^(?!PRM-\d{3}-\d{3}-\d{3}-\d{4,}\Z)[A-Za-z0-9_.-]+\Z"),
    "Only letters, digits, dots, dashes and underscores are allowed.",
)
_NO_DEFAULT: tuple[Any, ...] = (None, "", {}, [])


class ParameterUpdate(Input):
    """What changes of a parameter."""

    texts = {"description": 2000, "hint": 255, "placeholder": 255}
    title = Text(255, required=True)
    type = AnyCaseChoice(TYPES, required=True)
    phase = AnyCaseChoice(PHASES)
    scope = AnyCaseChoice((*ORDERED, *CONFIGURED))
    constraints = constraints.ConstraintsInput(allow_null=True)
    default = Anything()


class ParameterInput(ParameterUpdate):
    """A new parameter."""

    name = Text(100, required=True, validators=[_NAME])


@transaction.atomic
def create(product: Product, values: Values) -> Parameter:
    """Create a parameter of `ParameterInput`; raises Invalid."""
    products.lock(product)
    now = clock.shown(clock.now())
    if Parameter.objects.filter(product=product, name=values["name"]).exists():
        message = "Parameter with same name already exists for the product."
        raise Invalid("name", message, "unique")
    row = Parameter(
        product=product, scope="asset", phase="ordering", constraints={}, created=now, updated=now
    )
    _assign(row, values)
    row.position = products.next_position(Parameter.objects.filter(product=product))
    row.save(force_insert=True)
    return row


@transaction.atomic
def update(product: Product, parameter: Parameter, values: Values) -> None:
    """Change what the values name; the name stays. Raises Invalid."""
    row = products.locked(product, parameter)
    _assign(row, values)
    products.save(row, {})


# Its configured values are deleted, too; requests keep what they have of it.
delete = products.delete_part


def _assign(row: Parameter, values: Values) -> None:
    rules, before = values.get("constraints", {}), row.constraints
    products.assign(row, values)
    if row.scope not in PHASES[row.phase]:
        raise Invalid("scope", f'"{row.scope}" is not a scope of the {row.phase} phase.')
    row.constraints = constraints.merge(row, before, rules)
    marked = [choice["value"] for choice in rules.get("choices", ()) if choice.get("default")]
    _set_default(row, values, marked)


def _set_default(row: Parameter, values: Values, marked: list[str]) -> None:
    """Set the default: given as such, or as a mark on one of the choices; raises Invalid."""
    if "default" in values:
        row.default = None if values["default"] in _NO_DEFAULT else values["default"]
    elif marked and row.type != "checkbox":
        row.default = marked[0]
    if row.default is None:
        return
    allowed = (dict, list) if row.type in STRUCTURED else (str,)
    if not isinstance(row.default, allowed):
        raise Invalid("default", f"Not a valid value of a {row.type}.")
    choices = [choice["value"] for choice in row.constraints.get("choices", ())]
    if row.type in ("dropdown", "choice") and row.default not in choices:
        raise Invalid("default", f'"{row.default}" is not a valid choice.', "invalid_choice")
