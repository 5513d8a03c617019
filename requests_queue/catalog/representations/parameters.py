"""Parameters of products, and the values that are configured for them."""

from __future__ import annotations

import re
from typing import Any, Literal, TypedDict

from django.db.models import Q

from requests_queue.api.filter_tables import looked_up, parts
from requests_queue.api.resources import MADE, NAMED, Field, Part, Resource
from requests_queue.api.schema import Json
from requests_queue.catalog.models import Configuration, Parameter
from requests_queue.catalog.representations import PICTURED
from requests_queue.catalog.schema import Choice, Dependency, ParameterType

Scope = Literal["asset", "tier1", "tier2", "product", "item", "marketplace", "item_marketplace"]
Phase = Literal["ordering", "fulfillment", "configuration"]
_OFF = {"required": False, "hidden": False, "unique": False, "reconciliation": False}


class ParameterChoice(Choice, total=False):
    """A value to choose, and whether it is chosen to begin with."""

    default: bool


class Constraints(TypedDict, total=False):
    """What the values of a parameter must be."""

    required: bool
    hidden: bool
    unique: bool
    reconciliation: bool
    readonly: bool
    min_length: int
    max_length: int
    shared: Literal["none", "view", "edit"]
    choices: list[ParameterChoice | str]
    dependency: Dependency
    display_content: str
    level: str


def parameter_id(row: Parameter) -> str:
    """Return a parameter's id, `PRM-ddd-ddd-ddd-dddd`; `name` is what assets call it."""
    return numbered_id(row.product_id, row.number)


def numbered_id(product_id: str, number: int) -> str:
    """Return the id of the parameter of a product with this number."""
    return f"PRM-{product_id.partition('-')[2]}-{number:04d}"


def parameter_by_id(given: str) -> Q:
    """Return the condition that a parameter has this id, or this name."""
    match = re.fullmatch(r"PRM-(\d{3}-\d{3}-\d{3})-(\d{4,18})", given)
    if match is None:
        return Q(name=given)
    return Q(number=int(match[2]), product=f"PRD-{match[1]}")


def _constraints(row: Parameter) -> Json:
    choices = row.constraints.get("choices")
    if not choices or not isinstance(row.default, str):
        return {**_OFF, **row.constraints}
    # Of choices the default is a mark on one of them.
    marked = [{**c, "default": True} if c["value"] == row.default else c for c in choices]
    return {**_OFF, **row.constraints, "choices": marked}


def _default(row: Parameter) -> Any:
    is_marked = row.constraints.get("choices") and isinstance(row.default, str)
    return None if is_marked else row.default


_PARAMETER: dict[str, Any] = {
    "id": Field(str, parameter_id),
    "name": str,
    "title": str,
    "description": str,
    "type": ParameterType,
    "scope": Scope,
    "phase": Phase,
    "hint": Field(str, unfiltered=True),
    "placeholder": Field(str, unfiltered=True),
    "constraints": Field(Constraints, _constraints),
    "default": Field(Any, _default, optional=True),
}
PARAMETER = Resource(
    "Parameter",
    "A parameter of a product; orders know it by its name.",
    {**_PARAMETER, "position": int, "events": MADE},
    model=Parameter,
    search=("name", "title"),
    also={
        "constraints.required": Field(bool, "is_required"),
        "constraints.hidden": Field(bool, "is_hidden"),
        "constraints.unique": Field(bool, "is_unique"),
        "constraints.reconciliation": Field(bool, "is_reconciliation"),
        "constraints.shared": Field(str, "shared"),
    },
    custom=[looked_up("id", parameter_by_id, ordering="number"), *parts("constraints.choices")],
)


CONFIGURATION = Resource(
    "Configuration",
    "A configured value.",
    {
        "value": str | None,
        # Absent without one: connect-cli exports it instead of `value` where both are there.
        "structured_value": Field(Any, optional=True, unfiltered=True),
        "parameter": Field(
            Part(
                "ConfiguredParameter",
                "The parameter that a value is configured of.",
                _PARAMETER,
                named=("name", "title", "scope", "type"),
            )
        ),
        "events": MADE,
        "item": Field(NAMED, optional=True),
        "marketplace": Field(PICTURED, optional=True),
    },
    model=Configuration,
    also={
        "parameter.constraints.required": Field(bool, "is_required"),
        "parameter.constraints.shared": Field(str, "shared"),
    },
    custom=[
        looked_up(
            "parameter.id",
            lambda pk: Q(parameter__in=Parameter.objects.filter(parameter_by_id(pk))),
        ),
        *parts("parameter.constraints"),
    ],
)
