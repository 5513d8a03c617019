"""A vendor's POST, PUT and DELETE of a parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.models import Parameter, Product
from requests_queue.catalog.writes import constraints, products
from requests_queue.catalog.writes.given import Given

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
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ID = re.compile(r"PRM-\d{3}-\d{3}-\d{3}-\d{4,}")
_NO_DEFAULT: tuple[Any, ...] = (None, "", {}, [])
_TEXTS = {"title": 255, "description": 2000, "hint": 255, "placeholder": 255}


@transaction.atomic
def create(product: Product, data: Mapping[str, Any]) -> Parameter:
    """Create a parameter from `{name, title, type, scope?, phase?, constraints?, …}`.

    Raises Invalid.
    """
    products.lock(product)
    given, now = Given(data), clock.shown(clock.now())
    name = given.text("name", 100, blank=False)
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        raise given.wrong("name", "Only letters, digits, dots, dashes and underscores are allowed.")
    if Parameter.objects.filter(product=product, name=name).exists():
        raise given.wrong("name", "Parameter with same name already exists for the product.")
    given.text("title", 255, blank=False)
    given.choice("type", TYPES)
    row = Parameter(product=product, name=name, created=now, updated=now)
    row.scope, row.phase = "asset", "ordering"
    _write(row, given)
    row.position = products.next_position(Parameter.objects.filter(product=product))
    row.save(force_insert=True)
    return row


@transaction.atomic
def update(product: Product, parameter: Parameter, data: Mapping[str, Any]) -> None:
    """Change what the body names; the name stays. Raises Invalid."""
    products.lock(product)
    row = products.fresh(parameter)
    _write(row, Given(data))
    row.updated = clock.shown(clock.now())
    row.save()


@transaction.atomic
def delete(product: Product, parameter: Parameter) -> None:
    """Delete a parameter with its configured values; requests keep what they have of it."""
    products.lock(product)
    products.fresh(parameter).delete()


def _write(row: Parameter, given: Given) -> None:
    for name, limit in _TEXTS.items():
        if name in given:
            setattr(row, name, given.text(name, limit, blank=name != "title"))
    if "type" in given:
        row.type = given.choice("type", TYPES)
    if "phase" in given:
        row.phase = given.choice("phase", PHASES)
    if "scope" in given:
        row.scope = given.choice("scope", (*ORDERED, *CONFIGURED))
    if row.scope not in PHASES[row.phase]:
        raise given.wrong("scope", f'"{row.scope}" is not a scope of the {row.phase} phase.')
    rules = given.data.get("constraints")
    inner = Given({}, "constraints.") if rules is None else given.inner("constraints")
    row.constraints = constraints.merge(row, inner)
    _default(row, given, inner)


def _default(row: Parameter, given: Given, rules: Given) -> None:
    """Set the default: given as such, or as a mark on one of the choices; raises Invalid."""
    marked = [
        choice["value"]
        for choice in rules.data.get("choices") or ()
        if isinstance(choice, Mapping) and choice.get("default") is True
    ]
    if marked and row.type != "checkbox":
        row.default = str(marked[0])
    if "default" in given:
        row.default = given.data["default"] if given.data["default"] not in _NO_DEFAULT else None
    if row.default is None:
        return
    wanted = (dict, list) if row.type in STRUCTURED else (str,)
    if not isinstance(row.default, wanted):
        raise given.wrong("default", f"Not a valid value of a {row.type}.")
    if row.type in ("dropdown", "choice"):
        values = [choice["value"] for choice in row.constraints["choices"]]
        if row.default not in values:
            raise given.wrong("default", f'"{row.default}" is not a valid choice.')
