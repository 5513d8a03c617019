"""A vendor's POST and PUT of a version: what publishes a product."""

from __future__ import annotations

from django.db import transaction

from requests_queue import clock
from requests_queue.api.fields import Input, Values
from requests_queue.catalog import versions
from requests_queue.catalog.models import Item, Product, ProductVersion
from requests_queue.catalog.writes import products
from requests_queue.errors import ActionNotAllowed
from requests_queue.signals import product_changed


class VersionInput(Input):
    """What can be written of a version: who may read it, and what has changed."""

    texts = {"changes_description": 10_000}
    booleans = ("public", "staging")


@transaction.atomic
def create(product: Product, values: Values) -> ProductVersion:
    """Publish a product and its draft items as its next version, with `VersionInput`.

    Raises ActionNotAllowed where its sale has ended.
    """
    row = products.begin_change(product)
    if row.status == "endofsale":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: resume the sale before a new version.")
    now = clock.shown(clock.now())
    Item.objects.filter(product=row, status="draft").update(status="published", updated=now)
    return publish(row, values)


def publish(product: Product, values: Values) -> ProductVersion:
    """Publish a locked product as its next version; its draft items stay drafts."""
    now = clock.shown(clock.now())
    number = {"status": "published", "version": product.version + 1, "published": now}
    products.save(product, number, only=True)
    product_changed.send(sender=Product, product=product)
    return versions.store(product, now, **values)


@transaction.atomic
def update(product: Product, version: ProductVersion, values: Values) -> None:
    """Change what the values of `VersionInput` name."""
    products.save(products.begin_part_change(product, version), values, only=True)
