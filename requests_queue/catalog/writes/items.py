"""A vendor's POST, PUT and DELETE of an item, and the end of its sale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.models import Asset, Item, Product
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given
from requests_queue.errors import ActionNotAllowed, Refused

TYPES = ("Reservation", "PPU")
PERIODS = (
    "Monthly", "Yearly", "years_2", "years_3", "years_4", "years_5", "years_6", "OneTime",
    "days_7_trial", "days_14_trial", "days_30_trial", "monthly_trial",
)  # fmt: skip
PRECISIONS = ("Integer", "Decimal(1)", "Decimal(2)", "Decimal(4)", "Decimal(8)")
_REQUIRED = ("name", "mpn", "type", "unit")
_TAKEN = "Item with same {} already exists for the product."


@transaction.atomic
def create(product: Product, data: Mapping[str, Any]) -> Item:
    """Create a draft from `{name, mpn, type, unit: {id}, period?, commitment: {count}?, …}`.

    Words may be written small, as the API's own answers have them. Raises Invalid.
    """
    products.lock(product)
    given, now = Given(data), clock.shown(clock.now())
    for name in _REQUIRED:
        if data.get(name) in (None, ""):
            raise given.wrong(name, "This field is required.")
    row = Item(product=product, status="draft", created=now, updated=now)
    _write(row, given)
    row.id = next_id(product.pk)
    row.local_id = row.id.replace("-", "_")
    row.position = products.next_position(Item.objects.filter(product=product))
    row.save(force_insert=True)
    return row


@transaction.atomic
def update(product: Product, item: Item, data: Mapping[str, Any]) -> None:
    """Change what the body names; raises Invalid."""
    products.lock(product)
    row = products.fresh(item)
    _write(row, Given(data))
    row.updated = clock.shown(clock.now())
    row.save()


@transaction.atomic
def delete(product: Product, item: Item) -> None:
    """Delete a draft; raises Refused for what has been published, or ordered: its id is free
    for the next item then."""
    products.lock(product)
    row = products.fresh(item)
    if row.status != "draft":
        raise Refused("PRD_038", "Only draft Item can be deleted.")
    ordered = Asset.objects.filter(product=product).values_list("items", flat=True)
    if any(held.get("global_id") == row.pk for items in ordered.iterator() for held in items):
        raise Refused("REQ_003", f"{row.pk} can't be deleted: there are subscriptions with it.")
    row.delete()


@transaction.atomic
def end_sale(product: Product, item: Item, data: Mapping[str, Any]) -> None:
    """End the sale of a published item: `{replacement: {id}?, end_of_sale_notes?}`."""
    products.lock(product)
    row, given, now = products.fresh(item), Given(data), clock.shown(clock.now())
    if row.status != "published":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: only what is published goes off sale.")
    row.replacement = products.replacement(given, Item.objects.filter(product=product), row)
    row.end_of_sale_notes = given.text("end_of_sale_notes", 2000)
    row.status, row.sale_ended, row.updated = "endofsale", now, now
    row.save()


@transaction.atomic
def resume_sale(product: Product, item: Item) -> None:
    """Sell an item again; raises IllegalMove where its sale hasn't ended."""
    products.lock(product)
    row = products.fresh(item)
    if row.status != "endofsale":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: only what went off sale is sold again.")
    row.replacement, row.end_of_sale_notes, row.sale_ended = None, "", None
    row.status, row.updated = "published", clock.shown(clock.now())
    row.save()


def next_id(product_id: str) -> str:
    """Return the global id of a product's next item."""
    taken = Item.objects.filter(pk__startswith=f"{product_id}-").values_list("pk", flat=True)
    numbers = [int(pk.rpartition("-")[2]) for pk in taken if pk.rpartition("-")[2].isdecimal()]
    return f"{product_id}-{max(numbers, default=0) + 1:04d}"


def _write(row: Item, given: Given) -> None:
    """Set what the body names; raises Invalid."""
    _texts(row, given)
    for name, words in (("type", TYPES), ("period", PERIODS), ("precision", PRECISIONS)):
        if name in given:
            setattr(row, name, given.choice(name, words))
    if "dynamic" in given:
        row.dynamic = given.switch("dynamic")
    if "commitment" in given:
        row.commitment = given.inner("commitment").number("count", 1, 120)
    if "ui" in given:
        ui = given.inner("ui")
        row.visible = ui.switch("visibility") if "visibility" in ui else row.visible
    if "unit" in given:
        row.unit = _unit(row, given.inner("unit"))
    if row.type == "PPU" and row.period != "Monthly":
        raise given.wrong("period", "Pay-as-you-go items are billed monthly.")
    if row.type == "Reservation" and row.precision != "Integer":
        raise given.wrong("precision", "Reservation items are counted in whole numbers.")


def _texts(row: Item, given: Given) -> None:
    others = Item.objects.filter(product=row.product).exclude(pk=row.pk)
    for name, limit in (("name", 255), ("mpn", 128)):
        if name in given:
            text = given.text(name, limit, blank=False)
            if others.filter(**{name: text}).exists():
                raise given.wrong(name, _TAKEN.format(name))
            setattr(row, name, text)
    for name, limit in (("description", 2000), ("external_id", 128)):
        if name in given:
            setattr(row, name, given.text(name, limit))


def _unit(row: Item, given: Given) -> dict[str, str]:
    """Return the unit, called as it is called elsewhere at the vendor's; raises Invalid."""
    pk = given.text("id", 64, blank=False)
    title = given.text("title", 255) or given.text("name", 255)
    known = Item.objects.filter(product__owner=row.product.owner_id, unit__id=pk).first()
    if not title and known is not None:
        title = str(known.unit.get("title", ""))
    return {"id": pk, "title": title or pk}
