"""A vendor's POST, PUT and DELETE of a product, and the end of its sale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import models, transaction

from requests_queue import clock, ids
from requests_queue.catalog.models import (
    Account,
    Configuration,
    Item,
    Parameter,
    Product,
    ProductAction,
    ProductMedia,
    Template,
)
from requests_queue.catalog.writes import capabilities
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import ActionNotAllowed, Invalid, Missing, Refused

M = TypeVar("M", bound=models.Model)

_TEXTS = {
    "name": 255, "external_id": 128, "short_description": 2000, "detailed_description": 20000,
}  # fmt: skip
_UI_TEXTS = {"description": 255, "getting_started": 4096, "provisioning_message": 4096}
# What goes with its product.
_PARTS = (Item, Parameter, Template, Configuration, ProductAction, ProductMedia)


def create(data: Mapping[str, Any], owner: Account) -> Product:
    """Create a draft from `{name, external_id?, purchase_model?}`; raises Invalid."""
    given, now = Given(data), clock.shown(clock.now())
    fields = {
        "name": given.text("name", 255, blank=False),
        "external_id": given.text("external_id", 128),
        "purchase_model": given.text("purchase_model", 64),
    }
    return ids.create(
        lambda pk: Product(
            pk=pk, owner=owner, status="draft", created=now, updated=now, **fields
        ),
        "product",
    )  # fmt: skip


@transaction.atomic
def update(product: Product, data: Mapping[str, Any]) -> None:
    """Change what the body names; capabilities in part. Raises Invalid."""
    row, given = lock(product), Given(data)
    for name, limit in _TEXTS.items():
        if name in given:
            setattr(row, name, given.text(name, limit, blank=name != "name"))
    if data.get("capabilities") is not None:
        row.capabilities = capabilities.merge(row.capabilities, given.inner("capabilities"))
    if data.get("customer_ui_settings") is not None:
        shown = _ui_settings(given.inner("customer_ui_settings"))
        row.customer_ui_settings = {**row.customer_ui_settings, **shown}
    row.updated = clock.shown(clock.now())
    row.save(update_fields=[*_TEXTS, "capabilities", "customer_ui_settings", "updated"])


def _ui_settings(given: Given) -> dict[str, Any]:
    """Return the settings that the body names; raises Invalid."""
    found: dict[str, Any] = {}
    for name, limit in _UI_TEXTS.items():
        if name in given:
            found[name] = given.text(name, limit)
    for name in ("download_links", "documents"):
        if name in given:
            found[name] = [_link(given, name, entry) for entry in given.several(name)]
    if "languages" in given:
        found["languages"] = [
            {"id": row.text("id", 16, blank=False), "name": row.text("name", 64)}
            for row in _objects(given, "languages")
        ]
    return found


def _objects(given: Given, name: str) -> list[Given]:
    entries = given.several(name)
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise given.wrong(name, "Expected objects.")
    return [Given(entry, f"{given.path}{name}.") for entry in entries]


def _link(given: Given, name: str, entry: Any) -> dict[str, str]:
    if not isinstance(entry, Mapping):
        raise given.wrong(name, "Expected objects.")
    row = Given(entry, f"{given.path}{name}.")
    url = row.text("url", 1024, blank=False)
    if not url.startswith(("http://", "https://")):
        raise row.wrong("url", "Enter a valid URL.")
    found = {"title": row.text("title", 64, blank=False), "url": url}
    if name == "download_links":
        found["visible_for"] = row.choice("visible_for", ("admin", "user")) if (
            "visible_for" in row
        ) else "admin"  # fmt: skip
    return found


@transaction.atomic
def delete(product: Product) -> None:
    """Delete a draft with its parts; raises Refused where anything else is about it."""
    row = lock(product, whole=True)
    if row.status != "draft":
        raise Refused("PRD_038", "Only draft Product can be deleted.")
    for relation in Product._meta.get_fields(include_hidden=True):
        model = relation.related_model
        if not isinstance(relation, models.ManyToOneRel) or model in _PARTS:
            continue
        if relation.on_delete is not models.CASCADE or not isinstance(model, type):
            continue
        if model._default_manager.filter(**{relation.field.name: row}).exists():
            what = model._meta.verbose_name_plural
            raise Refused("REQ_003", f"{row.pk} can't be deleted: there are {what} of it.")
    row.delete()


@transaction.atomic
def end_sale(product: Product, data: Mapping[str, Any]) -> None:
    """End the sale of a published product: `{replacement: {id}?, end_of_sale_notes?}`."""
    row, given = lock(product), Given(data)
    if row.status != "published":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: only what is published goes off sale.")
    row.replacement = replacement(given, Product.objects.filter(owner=row.owner), row)
    row.end_of_sale_notes = given.text("end_of_sale_notes", 2000)
    row.status, row.updated = "endofsale", clock.shown(clock.now())
    row.save()


@transaction.atomic
def resume_sale(product: Product) -> None:
    """Sell a product again; raises IllegalMove where its sale hasn't ended."""
    row = lock(product)
    if row.status != "endofsale":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: only what went off sale is sold again.")
    row.replacement, row.end_of_sale_notes = None, ""
    row.status, row.updated = "published", clock.shown(clock.now())
    row.save()


def replacement(given: Given, among: models.QuerySet[M], row: M) -> M | None:
    """Return what replaces a product or an item, if anything does; raises Invalid."""
    if given.data.get("replacement") in (None, {}):
        return None
    pk = given.id_of("replacement")
    found = among.filter(pk=pk).exclude(pk=row.pk).first()
    if found is None:
        raise Invalid("replacement.id", f"{pk} does not exist.")
    return found


def lock(product: Product, *, whole: bool = False) -> Product:
    """Return the product, locked until the transaction ends: writes of its parts queue here.

    New orders of it wait only where `whole` says so.
    """
    rows = Product.objects.select_for_update(no_key=not whole)
    row = rows.filter(pk=product.pk).first()
    if row is None:
        raise Missing(product.pk)
    return row


def fresh(row: M) -> M:
    """Return the row as it is under the product's lock; raises Missing where it has gone."""
    found = type(row)._default_manager.filter(pk=row.pk).first()
    if found is None:
        raise Missing(str(row.pk))
    return found


def next_position(rows: models.QuerySet[Any]) -> int:
    """Return the position behind all of the rows."""
    last = rows.aggregate(last=models.Max("position"))["last"] or 0
    return int(last) + 100
