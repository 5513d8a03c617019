"""The constraints of a parameter in a body: each of its own kind."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from requests_queue.catalog.models import Parameter
from requests_queue.catalog.representations.parameters import parameter_by_id
from requests_queue.errors import Invalid
from requests_queue.fields import (
    AnyCaseChoice,
    Boolean,
    Id,
    Input,
    Integer,
    List,
    String,
    Text,
    Values,
)

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


def merge(row: Parameter, old: Values, new: Values) -> Values:
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
