"""A vendor's POST, PUT and DELETE of a parameter, with its constraints."""

from __future__ import annotations

import re
from itertools import count
from typing import Any, get_args

from django.core.validators import RegexValidator
from django.db import transaction
from django.db.models import Max
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from requests_queue import clock, ids
from requests_queue.api.fields import (
    AnyCaseChoice,
    Anything,
    Boolean,
    Id,
    Input,
    Integer,
    List,
    String,
    Text,
    Values,
)
from requests_queue.catalog.models import Parameter, Product
from requests_queue.catalog.parameter_values import STRUCTURED
from requests_queue.catalog.representations.parameters import numbered_id, parameter_by_id
from requests_queue.catalog.schema import ParameterType
from requests_queue.catalog.writes import products
from requests_queue.db.rows import set_columns
from requests_queue.errors import Invalid

TYPES = get_args(ParameterType)
ORDERED, CONFIGURED = (
    ("asset", "tier1", "tier2"),
    (
        "product",
        "item",
        "marketplace",
        "item_marketplace",
    ),
)
# Which scopes each phase has: published tools refuse other pairs.
PHASES = {"ordering": ORDERED, "fulfillment": ORDERED, "configuration": CONFIGURED}
# Not in the form of an id, which is another way to name a parameter.
_NAME = RegexValidator(
    re.compile(r"^(?!PRM-\d{3}-\d{3}-\d{3}-\d{4,}\Z)[A-Za-z0-9_.-]+\Z"),
    "Only letters, digits, dots, dashes and underscores are allowed.",
)
_NO_DEFAULT: tuple[Any, ...] = (None, "", {}, [])
CHOOSING = ("dropdown", "choice", "checkbox")
_MAX_LENGTH = 1_000_000


class ChoiceInput(Input):
    """A value to choose, or that value alone; `default`: chosen to begin with."""

    also_text = True
    texts = {"label": 255}
    value = Text(255, required=True)
    default = Boolean(allow_null=True)

    def to_internal_value(self, data: Any) -> Values:
        """Return the choice, labeled with its value by default; raises ValidationError."""
        values = super().to_internal_value({"value": data} if isinstance(data, str) else data)
        return values | {"label": values.get("label") or values["value"]}


class ParameterName(Input):
    """Another parameter, by its id or by its name."""

    texts = {"name": 100}
    id = Id()

    def validate(self, attrs: Values) -> Values:
        """Return one of both; raises ValidationError."""
        key = "id" if attrs.get("id") else "name"
        if not attrs.get(key):
            raise ValidationError({"id": "This field is required."}, "required")
        return {key: attrs[key]}


class DependencyInput(Input):
    """On which values of which other parameter a parameter depends."""

    booleans = ("required", "hidden", "readonly")
    parameter = ParameterName(required=True)
    values = List(String())


class ConstraintsInput(Input):
    """What the values of a parameter must be."""

    texts = {"display_content": 10_000, "level": 10_000}
    booleans = ("required", "hidden", "unique", "reconciliation", "readonly")
    min_length = Integer(0, _MAX_LENGTH, allow_null=True)
    max_length = Integer(0, _MAX_LENGTH, allow_null=True)
    shared = AnyCaseChoice(("none", "view", "edit"), allow_null=True)
    choices = List(ChoiceInput(), null_value=empty)
    dependency = DependencyInput(allow_null=True)

    def validate(self, attrs: Values) -> Values:
        """Return the constraints; raises ValidationError."""
        values = [choice["value"] for choice in attrs.get("choices", ())]
        if len(set(values)) < len(values):
            raise ValidationError({"choices": "Values of choices must differ."})
        return attrs


class ParameterUpdate(Input):
    """What changes of a parameter."""

    texts = {"description": 2000, "hint": 255, "placeholder": 255}
    title = Text(255, required=True)
    type = AnyCaseChoice(TYPES, required=True)
    phase = AnyCaseChoice(PHASES)
    scope = AnyCaseChoice((*ORDERED, *CONFIGURED))
    constraints = ConstraintsInput(allow_null=True)
    default = Anything()


class ParameterInput(ParameterUpdate):
    """A new parameter."""

    name = Text(100, required=True, validators=[_NAME])


@transaction.atomic
def create(product: Product, values: Values) -> Parameter:
    """Create a parameter of `ParameterInput`; raises Invalid."""
    products.begin_change(product)
    now = clock.shown(clock.now())
    if Parameter.objects.filter(product=product, name=values["name"]).exists():
        message = "Parameter with same name already exists for the product."
        raise Invalid("name", message, "unique")
    row = Parameter(
        product=product, scope="asset", phase="ordering", constraints={}, created=now, updated=now
    )
    assign(row, values)
    row.position = products.next_position(Parameter.objects.filter(product=product))
    row.number = next_number(product.pk)
    row.save(force_insert=True)
    return row


@transaction.atomic
def update(product: Product, parameter: Parameter, values: Values) -> None:
    """Change what the values name; the name stays. Raises Invalid."""
    row = products.begin_part_change(product, parameter)
    assign(row, values)
    products.save(row, {})


# Its configured values are deleted, too; requests keep what they have of it.
delete = products.delete_part


def next_number(product_id: str) -> int:
    """Return the number in the id of a product's next parameter."""
    rows = Parameter.objects.filter(product=product_id)
    following = count((rows.aggregate(last=Max("number"))["last"] or 0) + 1)
    return next(n for n in following if not ids.is_taken(numbered_id(product_id, n)))


def assign(row: Parameter, values: Values) -> None:
    """Set the columns that the values name; raises Invalid."""
    rules, before = values.get("constraints", {}), row.constraints
    set_columns(row, values)
    if row.scope not in PHASES[row.phase]:
        raise Invalid("scope", f'"{row.scope}" is not a scope of the {row.phase} phase.')
    row.constraints = _merged(row, before, rules)
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


def _merged(row: Parameter, old: Values, new: Values) -> Values:
    """Return a parameter's constraints with the new ones in place of theirs; raises Invalid.

    What Connect has and we don't know is left out, as it would mean nothing here.
    """
    merged = old | new
    if "choices" in new:
        merged["choices"] = [
            {"value": choice["value"], "label": choice["label"]} for choice in new["choices"]
        ]
    if "dependency" in new:
        merged["dependency"] = _dependency(row, new["dependency"])
    if merged.get("min_length", 0) > merged.get("max_length", _MAX_LENGTH):
        raise Invalid("constraints.min_length", "This is more than max_length.")
    if row.type in CHOOSING and not merged.get("choices"):
        raise Invalid("constraints.choices", "This list may not be empty.", "empty")
    return merged


def _dependency(row: Parameter, values: Values) -> Values:
    others = Parameter.objects.filter(product=row.product).exclude(pk=row.pk)
    [(key, named)] = values["parameter"].items()
    # Stored by its name, which is its id in orders.
    name = others.filter(parameter_by_id(named)).values_list("name", flat=True).first()
    if name is None:
        path = f"constraints.dependency.parameter.{key}"
        raise Invalid(path, f"Parameter {named} does not exist.", "does_not_exist")
    defaults = {"values": [], "required": False, "hidden": False, "readonly": False}
    return defaults | values | {"parameter": {"id": name}}
