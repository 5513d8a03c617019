"""A vendor's POST, PUT and DELETE of a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import ManyToOneRel

from requests_queue import clock, ids
from requests_queue.catalog.models import Product, Template
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import Refused

SCOPES = ("asset", "tier1", "tier2")
TYPES = ("inquire", "fulfillment", "pending")
_BODY = 100_000
# What the column holds; the document has twice as much.
_LAST = 2**31 - 1


@transaction.atomic
def create(product: Product, data: Mapping[str, Any]) -> Template:
    """Create a template from `{name, scope?, type?, title?, body?, position?}`; raises Invalid."""
    products.lock(product)
    given, now = Given(data), clock.shown(clock.now())
    given.text("name", 255, blank=False)
    scope = given.choice("scope", SCOPES) if data.get("scope") is not None else "asset"
    kind = given.choice("type", TYPES) if data.get("type") is not None else None
    if data.get("position") is not None:
        position = given.number("position", 0, _LAST)
    else:
        position = products.next_position(Template.objects.filter(product=product))

    def make(pk: str) -> Template:
        row = Template(
            pk=pk, product=product, scope=scope, type=kind, position=position, created=now,
            updated=now,
        )  # fmt: skip
        _texts(row, given)
        return row

    return ids.create(make, "template")


@transaction.atomic
def update(product: Product, template: Template, data: Mapping[str, Any]) -> None:
    """Change name, title and body; scope and type stay. Raises Invalid."""
    products.lock(product)
    row = products.fresh(template)
    _texts(row, Given(data))
    row.updated = clock.shown(clock.now())
    row.save()


@transaction.atomic
def delete(product: Product, template: Template) -> None:
    """Delete a template; raises Refused where a customer reads it."""
    products.lock(product)
    row = products.fresh(template)
    for relation in Template._meta.get_fields(include_hidden=True):
        model = relation.related_model
        if not isinstance(relation, ManyToOneRel) or not isinstance(model, type):
            continue
        if model._default_manager.filter(**{relation.field.name: row}).exists():
            what = model._meta.verbose_name_plural
            raise Refused("REQ_003", f"{row.pk} can't be deleted: there are {what} with it.")
    row.delete()


def _texts(row: Template, given: Given) -> None:
    for name, limit in (("name", 255), ("title", 255), ("body", _BODY)):
        if name in given:
            setattr(row, name, given.text(name, limit, blank=name != "name"))
