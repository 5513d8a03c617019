"""A vendor's POST, PUT and DELETE of an item, and the end of its sale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from django.db import transaction

from requests_queue import clock, ids
from requests_queue.api.fields import AnyCaseChoice, Boolean, Input, Integer, String, Text, Values
from requests_queue.catalog.models import Asset, Item, Product
from requests_queue.catalog.writes import products
from requests_queue.db.rows import set_columns
from requests_queue.errors import FieldError, Invalid, Refused

TYPES = ("Reservation", "PPU")
PERIODS = (
    "Monthly",
    "Yearly",
    "years_2",
    "years_3",
    "years_4",
    "years_5",
    "years_6",
    "OneTime",
    "days_7_trial",
    "days_14_trial",
    "days_30_trial",
    "monthly_trial",
)
# What doesn't change of a published item, as the API calls it.
CONSTANTS = {
    "type": "type",
    "period": "billing period",
    "precision": "precision",
    "unit": "unit",
    "commitment": "commitment",
}
STAYS_PUBLISHED = "A published item doesn't become a draft again."
PRECISIONS = ("Integer", "Decimal(1)", "Decimal(2)", "Decimal(4)", "Decimal(8)")


class UnitInput(Input):
    """What an item is counted in."""

    texts = {"title": 255, "name": 255}
    id = String(64, required=True)


class CommitmentInput(Input):
    """How many billing periods are bought at once."""

    count = Integer(1, 120, required=True)


class VisibleInput(Input):
    """Whether customers see an item."""

    visibility = Boolean()


class ItemInput(Input):
    """What can be written of an item."""

    texts = {"description": 2000, "external_id": 128}
    name = Text(255, required=True)
    mpn = Text(128, required=True)
    type = AnyCaseChoice(TYPES, required=True)
    unit = UnitInput(required=True)
    period = AnyCaseChoice(PERIODS)
    precision = AnyCaseChoice(PRECISIONS)
    commitment = CommitmentInput()
    dynamic = Boolean()
    ui = VisibleInput()

    def to_internal_value(self, data: Any) -> Values:
        """Return the columns, but for the unit's title; a new item's texts are not blank."""
        if not self.partial:
            blank = [n for n, f in self.fields.items() if f.required and data.get(n) == ""]
            data = {name: value for name, value in data.items() if name not in blank}
        attrs = super().to_internal_value(data)
        if "commitment" in attrs:
            attrs["commitment"] = attrs["commitment"]["count"]
        if "visibility" in (ui := attrs.pop("ui", {})):
            attrs["visible"] = ui["visibility"]
        return attrs


@transaction.atomic
def create(product: Product, values: Values) -> Item:
    """Create a draft of `ItemInput`; raises Invalid."""
    products.begin_change(product)
    now = clock.shown(clock.now())
    row = Item(product=product, status="draft", created=now, updated=now)
    assign(row, values)
    row.id = next_id(product.pk)
    row.local_id = row.id.replace("-", "_")
    row.position = products.next_position(Item.objects.filter(product=product))
    row.save(force_insert=True)
    return row


@transaction.atomic
def update(product: Product, item: Item, values: Values) -> None:
    """Change what the values name; raises Invalid."""
    row = products.begin_part_change(product, item)
    assign(row, values)
    products.save(row, {})


@transaction.atomic
def delete(product: Product, item: Item) -> None:
    """Delete a draft, whose id is free for the next item then.

    Raises Refused for what has been published or ordered.
    """
    row = products.begin_part_change(product, item)
    if row.status != "draft":
        raise Refused("PRD_038", "Only draft Item can be deleted.")
    ordered = Asset.objects.filter(product=product).values_list("items", flat=True)
    if any(held.get("global_id") == row.pk for items in ordered.iterator() for held in items):
        raise Refused("REQ_003", f"{row.pk} can't be deleted: there are subscriptions with it.")
    row.delete()


@transaction.atomic
def end_sale(product: Product, item: Item, values: Values) -> None:
    """End the sale of a published item, by `EndOfSaleInput`."""
    row = products.begin_part_change(product, item)
    now = clock.shown(clock.now())
    products.take_off_sale(row, values, Item.objects.filter(product=product), sale_ended=now)


@transaction.atomic
def resume_sale(product: Product, item: Item) -> None:
    """Sell an item again; raises ActionNotAllowed where its sale hasn't ended."""
    products.put_on_sale(products.begin_part_change(product, item), sale_ended=None)


def next_id(product_id: str, taken: Iterable[str] | None = None) -> str:
    """Return the global id of a product's next item; `taken` are those of its items if known."""
    if taken is None:
        rows = Item.objects.filter(pk__startswith=f"{product_id}-")
        taken = rows.values_list("pk", flat=True)
    numbers = [int(pk.rpartition("-")[2]) for pk in taken if pk.rpartition("-")[2].isdecimal()]
    following = (f"{product_id}-{number:04d}" for number in count(max(numbers, default=0) + 1))
    return next(pk for pk in following if not ids.is_taken(pk))


def is_used(row: Item, name: str, value: str) -> bool:
    """Return whether another item of the product has this value in the column."""
    others = Item.objects.filter(product=row.product_id).exclude(pk=row.pk)
    return others.filter(**{name: value}).exists()


def assign(row: Item, values: Values, is_used: Callable[[Item, str, str], bool] = is_used) -> None:
    """Set the columns that the values name; raises Invalid, also for CONSTANTS.

    `is_used` returns whether another item of the product has a value in a column.
    """
    if row.status != "draft" and not row._state.adding:
        if names := constant_changes(row, values):
            raise Invalid.of(FieldError(name, constant_error(name)) for name in names)
        values = {name: value for name, value in values.items() if name not in CONSTANTS}
    for name in ("name", "mpn"):
        if name in values and is_used(row, name, values[name]):
            raise Invalid(name, f"Item with same {name} already exists for the product.", "unique")
    set_columns(row, values)
    if "unit" in values:
        row.unit = _unit(row, values["unit"])
    if row.type == "PPU" and row.period != "Monthly":
        raise Invalid("period", "Pay-as-you-go items are billed monthly.")
    if row.type == "Reservation" and row.precision != "Integer":
        raise Invalid("precision", "Reservation items are counted in whole numbers.")


def constant_changes(row: Item, values: Values) -> list[str]:
    """Return the columns in CONSTANTS that the values would change."""
    return [
        name
        for name in CONSTANTS
        if name in values and not _is_same(name, getattr(row, name), values[name])
    ]


def _is_same(name: str, old: Any, new: Any) -> bool:
    """Return whether a value says the same of a column in CONSTANTS as the stored one."""
    if name != "unit":
        # The admin doesn't check the case of words.
        return str(old).lower() == str(new).lower()
    titles = (new.get("title"), new.get("name"))
    return bool(
        old == new
        or (
            old.get("id") == new.get("id")
            and all(title in (None, "", old.get("title")) for title in titles)
        )
    )


def constant_error(name: str) -> str:
    """Return the error of a change of a column in CONSTANTS."""
    return f"A published item keeps its {CONSTANTS[name]}."


def _unit(row: Item, values: Values) -> dict[str, str]:
    """Return the unit, by default with the title that the vendor's other items give it."""
    pk = values["id"]
    title = values.get("title") or values.get("name")
    if not title:
        same = Item.objects.filter(product__owner=row.product.owner_id, unit__id=pk).first()
        title = str(same.unit.get("title", "")) if same is not None else ""
    return {"id": pk, "title": title or pk}
