"""A vendor's POST, PUT and DELETE of a template."""

from __future__ import annotations

from django.db import transaction

from requests_queue.api.fields import AnyCaseChoice, Input, Integer, Text, Values
from requests_queue.catalog.models import Product, Template
from requests_queue.catalog.writes import products

SCOPES = ("asset", "tier1", "tier2")
TYPES = ("inquire", "fulfillment", "pending")


class TemplateUpdate(Input):
    """What changes of a template."""

    texts = {"title": 255, "body": 100_000}
    name = Text(255, required=True)


class TemplateInput(TemplateUpdate):
    """A new template; its scope and type stay."""

    scope = AnyCaseChoice(SCOPES, allow_null=True)
    type = AnyCaseChoice(TYPES, allow_null=True)
    # What the column holds; the document has twice as much.
    position = Integer(0, 2**31 - 1, allow_null=True)


@transaction.atomic
def create(product: Product, values: Values) -> Template:
    """Create a template of `TemplateInput`."""
    products.begin_change(product)
    position = products.next_position(Template.objects.filter(product=product))
    columns = {"scope": "asset", "position": position} | values
    return products.create_row(Template, "template", product=product, **columns)


@transaction.atomic
def update(product: Product, template: Template, values: Values) -> None:
    """Change name, title and body."""
    products.save(products.begin_part_change(product, template), values)


@transaction.atomic
def delete(product: Product, template: Template) -> None:
    """Delete a template; raises Refused where a customer reads it."""
    row = products.begin_part_change(product, template)
    products.refuse_in_use(row, "with it")
    row.delete()
