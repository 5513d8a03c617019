"""The stored versions of products: copies of a product and its parts, which don't change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from requests_queue.catalog.models import Product, ProductVersion, VersionPart
from requests_queue.catalog.representations import versions


def is_missing(product: Product) -> bool:
    """Return whether the newest version of a product is not stored.

    It was published before versions were stored, or without the API.
    """
    if product.status == "draft" or not product.version:
        return False
    return not ProductVersion.objects.filter(product=product, number=product.version).exists()


def store_missing(product: Product) -> None:
    """Store the newest version of a product, which the caller has locked, if it is missing.

    It is what the product is now: the caller changes it afterwards.
    """
    if is_missing(product):
        store(product, product.published or product.created, public=True)


def store(product: Product, at: datetime, **columns: Any) -> ProductVersion:
    """Store a locked product as the version of its number, created at that time.

    Drafts of items are no part of it. Columns are those of `ProductVersion`.
    """
    version = ProductVersion.objects.create(
        product=product,
        **{"number": product.version} | columns,
        content=versions.content(product),
        created=at,
        updated=at,
    )
    VersionPart.objects.bulk_create(_parts(version), batch_size=500)
    return version


def _parts(version: ProductVersion) -> Iterator[VersionPart]:
    for kind in versions.KINDS:
        rows = kind.model._default_manager.filter(product=version.product_id)
        if kind.name == "items":
            rows = rows.exclude(status="draft")
        for position, row in enumerate(rows.select_related(*kind.resource.related)):
            data = kind.resource.represent(row)
            yield VersionPart(
                version=version,
                kind=kind.name,
                key=data["id"],
                position=position,
                data=data,
                created=row.created,
                updated=row.updated,
                sale_ended=getattr(row, "sale_ended", None),
            )
