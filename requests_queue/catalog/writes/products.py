"""A vendor's POST, PUT and DELETE of a product, and the end of its sale."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from django.core.validators import RegexValidator
from django.db import models, transaction
from rest_framework.exceptions import ValidationError

from requests_queue import clock, ids
from requests_queue.api import json_validation
from requests_queue.api.fields import AnyCaseChoice, Input, List, Reference, String, Text, Values
from requests_queue.catalog import versions
from requests_queue.catalog.models import (
    Account,
    Configuration,
    Item,
    Parameter,
    Product,
    ProductAction,
    ProductMedia,
    ProductVersion,
    Template,
)
from requests_queue.catalog.writes import capabilities
from requests_queue.db.rows import get_row, set_columns
from requests_queue.errors import ActionNotAllowed, Invalid, Refused
from requests_queue.signals import product_changed

M = TypeVar("M", bound=models.Model)
# What is sold.
S = TypeVar("S", Product, Item)

# The state machine of products and of items.
NEXT_STATUSES = {
    "draft": ("published",),
    "published": ("endofsale",),
    "endofsale": ("published",),
}
# What is set of a product or item that is sold again.
ON_SALE: Values = {"status": "published", "replacement": None, "end_of_sale_notes": ""}
POSITION_STEP = 100  # between two parts
# What is deleted with its product.
PARTS = (Item, Parameter, Template, Configuration, ProductAction, ProductMedia, ProductVersion)


class DocumentLinkInput(Input):
    """A link to a document."""

    title = Text(64, required=True)
    url = Text(1024, required=True, validators=[RegexValidator("^https?://", "Enter a valid URL.")])


class DownloadLinkInput(DocumentLinkInput):
    """A link to a download; customers' administrators see it, or users too."""

    visible_for = AnyCaseChoice(("admin", "user"))

    def validate(self, attrs: Values) -> Values:
        """Return the link, for administrators by default."""
        return {"visible_for": "admin"} | attrs


class LanguageInput(Input):
    """A language that the product speaks."""

    id = String(16, required=True)
    name = Text(64)

    def validate(self, attrs: Values) -> Values:
        """Return the language, its name empty by default."""
        return {"name": ""} | attrs


class CustomerUISettingsInput(Input):
    """What customers see of a product."""

    texts = {"description": 255, "getting_started": 4096, "provisioning_message": 4096}
    # connect-cli sends the object as text.
    also_text = True
    download_links = List(DownloadLinkInput())
    documents = List(DocumentLinkInput())
    languages = List(LanguageInput())

    def to_internal_value(self, data: Any) -> Values:
        """Return the settings; raises ValidationError."""
        if isinstance(data, str):
            try:
                data = json_validation.validate_json(json_validation.parse_json(data))
            except (ValueError, RecursionError):
                raise ValidationError("This is not valid JSON.") from None
        return super().to_internal_value(data)


class ProductInput(Input):
    """A new product, a draft."""

    texts = {"external_id": 128, "purchase_model": 64}
    name = Text(255, required=True)


class ProductUpdate(Input):
    """What changes of a product; capabilities and settings in part."""

    texts = {"external_id": 128, "short_description": 2000, "detailed_description": 20000}
    name = Text(255, required=True)
    capabilities = capabilities.Capabilities(allow_null=True)
    customer_ui_settings = CustomerUISettingsInput(allow_null=True)


class EndOfSaleInput(Input):
    """What to buy instead, and why."""

    texts = {"end_of_sale_notes": 2000}
    replacement = Reference(allow_null=True)


@transaction.atomic
def create(values: Values, owner: Account) -> Product:
    """Create a draft of `ProductInput`."""
    row = create_row(Product, "product", owner=owner, status="draft", version=0, **values)
    product_changed.send(sender=Product, product=row)
    return row


@transaction.atomic
def update(product: Product, values: Values) -> None:
    """Change what the values of `ProductUpdate` name."""
    row = begin_change(product)
    merged = {
        "capabilities": capabilities.merge(row.capabilities, values.get("capabilities", {})),
        "customer_ui_settings": row.customer_ui_settings | values.get("customer_ui_settings", {}),
    }
    save(row, values | merged, only=True)


@transaction.atomic
def delete(product: Product) -> None:
    """Delete a draft with its parts; raises Refused where anything else is about it."""
    row = lock(product, whole=True)
    if row.status != "draft":
        raise Refused("PRD_038", "Only draft Product can be deleted.")
    refuse_in_use(row, "of it", PARTS, models.CASCADE)
    row.delete()


@transaction.atomic
def end_sale(product: Product, values: Values) -> None:
    """End the sale of a published product, by `EndOfSaleInput`."""
    row = begin_change(product)
    take_off_sale(row, values, Product.objects.filter(owner=row.owner))
    product_changed.send(sender=Product, product=row)


@transaction.atomic
def resume_sale(product: Product) -> None:
    """Sell a product again; raises ActionNotAllowed where its sale hasn't ended."""
    row = begin_change(product)
    put_on_sale(row)
    product_changed.send(sender=Product, product=row)


def take_off_sale(row: S, values: Values, others: models.QuerySet[S], **columns: Any) -> None:
    """End the sale of a locked product or item; raises ActionNotAllowed, Invalid.

    One of the `others` may replace it.
    """
    if row.status != "published":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: only what is published goes off sale.")
    other = None
    if (pk := values.get("replacement")) is not None:
        other = others.filter(pk=pk).exclude(pk=row.pk).first()
        if other is None:
            raise Invalid("replacement.id", f"{pk} does not exist.", "does_not_exist")
    notes = values.get("end_of_sale_notes", "")
    ended = {"status": "endofsale", "replacement": other, "end_of_sale_notes": notes}
    save(row, ended | columns)


def put_on_sale(row: Product | Item, **columns: Any) -> None:
    """Sell a locked product or item again; raises ActionNotAllowed where its sale hasn't ended."""
    if row.status != "endofsale":
        raise ActionNotAllowed(f"{row.pk} is {row.status}: only what went off sale is sold again.")
    save(row, ON_SALE | columns)


def create_row(model: type[M], kind: str, **columns: Any) -> M:
    """Create a row with a random identifier, dated now."""
    now = clock.shown(clock.now())
    return ids.create(model(created=now, updated=now, **columns), kind)


def lock(product: Product, *, whole: bool = False) -> Product:
    """Return the product, locked until the transaction ends: writes of its parts queue here.

    New orders of it wait only where `whole` says so. Raises Missing.
    """
    return get_row(Product.objects.select_for_update(no_key=not whole), product.pk)


def begin_change(product: Product) -> Product:
    """Return the product, locked, whose newest version is stored as it is before the change."""
    row = lock(product)
    versions.store_missing(row)
    return row


def begin_part_change(product: Product, row: M) -> M:
    """Return a part as it is when its product's change has begun; raises Missing."""
    begin_change(product)
    return get_row(type(row)._default_manager.all(), str(row.pk))


@transaction.atomic
def delete_part(product: Product, row: models.Model) -> None:
    begin_part_change(product, row).delete()


def save(row: models.Model, values: Values, *, only: bool = False) -> None:
    """Set columns of a row and write it; `only` those, so that no other change is undone."""
    values = values | {"updated": clock.shown(clock.now())}
    set_columns(row, values)
    row.save(update_fields=values if only else None)


def refuse_in_use(
    row: models.Model, how: str, parts: Collection[Any] = (), on_delete: Any = None
) -> None:
    """Raise Refused where rows refer to this one, other than `parts` and by other rules."""
    for relation in row._meta.get_fields(include_hidden=True):
        model = relation.related_model
        if not isinstance(relation, models.ManyToOneRel) or not isinstance(model, type):
            continue
        if model in parts or on_delete not in (None, relation.on_delete):
            continue
        if model._default_manager.filter(**{relation.field.name: row}).exists():
            what = model._meta.verbose_name_plural
            raise Refused("REQ_003", f"{row.pk} can't be deleted: there are {what} {how}.")


def next_position(rows: models.QuerySet[Any]) -> int:
    """Return the position behind all of the rows."""
    last = rows.aggregate(last=models.Max("position"))["last"] or 0
    return int(last) + POSITION_STEP
