"""Products, and what they are made of.

Keys and words are those of Connect's OpenAPI document and of objects that CloudBlue's command
line tool captured; a key that the document demands is there even where we have nothing to say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypedDict

from django.db.models import BooleanField, Case, Q, When
from django.utils.crypto import salted_hmac

from requests_queue.api.filter_tables import looked_up, parts
from requests_queue.api.resources import (
    HAPPENED,
    MADE,
    NAMED,
    Constant,
    Field,
    Part,
    Resource,
    absent,
)
from requests_queue.api.schema import Free, Json, Named, Stamp, Uri
from requests_queue.catalog.models import Item, Product, ProductAction, ProductMedia, Template
from requests_queue.catalog.representations import PICTURED, PRODUCT_REFERENCE, icon
from requests_queue.errors import Invalid

_OFF: Json = {
    "ppu": None,
    "reservation": {"consumption": False},
    "cart": {"validation": False},
    "inquiring": {"validation": False},
    "tiers": {"updates": False, "configs": None, "validation": False},
    "subscription": {
        "hold": False,
        "schema": "explicit",
        "change": {
            "editable_ordering_parameters": False,
            "validation": False,
            "inquiring_validation": False,
        },
    },
}


def capabilities(given: Json) -> Json:
    """Return a product's capabilities, with those that it doesn't name switched off.

    Connect says null for a branch that is off; its switch is only written, never read.
    """
    found = {
        **_OFF,
        **{
            branch: {**(_OFF.get(branch) or {}), **value} if isinstance(value, dict) else value
            for branch, value in given.items()
        },
    }
    found["ppu"] = _branch(found["ppu"], "ppu")
    found["tiers"] = {**found["tiers"], "configs": _branch(found["tiers"]["configs"], "configs")}
    return found


def _branch(value: Any, switch: str) -> Json | None:
    if not isinstance(value, dict) or not value.get(switch, bool(value)):
        return None
    return {key: inner for key, inner in value.items() if key != switch}


def _is_version(value: str) -> Q:
    # Only where somebody filters: it imports a parser.
    from py_rql.constants import RQL_NULL

    # Connect's lists have a row per version, null for the working copy; a row of ours is both.
    if value == RQL_NULL:
        return Q()
    if not value.isdecimal():
        raise Invalid("version", "Not a valid version.")
    return Q(version=int(value[:9]))


class DownloadLink(TypedDict):
    """Something to download for the product."""

    title: str
    url: str
    visible_for: Literal["admin", "user"]


class DocumentLink(TypedDict):
    """Something to read about the product."""

    title: str
    url: str


class CustomerUISettings(TypedDict, total=False):
    """What the customer sees of a product."""

    description: str
    getting_started: str
    download_links: list[DownloadLink]
    documents: list[DocumentLink]
    languages: list[Named]
    provisioning_message: str


# The view annotates why the caller sees a product.
_SEEN_BY = {
    name: Field(bool, f"seen_by_{name}") for name in ("owner", "listing", "syndication", "catalog")
}
PRODUCT = Resource(
    "Product",
    "A product; `capabilities` are the switches that queues and validators ask for.",
    {
        "id": str,
        "name": str,
        "external_id": str,
        "icon": Field(str, icon),
        "status": Literal["draft", "published", "endofsale"],
        "short_description": str,
        "detailed_description": Field(str, unfiltered=True),
        "configurations": Part(
            "LegacyConfigurations",
            "Two switches from before capabilities.",
            {
                "suspend_resume_supported": Field(
                    bool, lambda row: bool(row.capability("subscription.hold"))
                ),
                "requires_reseller_information": Constant(True, bool),
            },
        ),
        "customer_ui_settings": Field(CustomerUISettings, unfiltered=True),
        # Null while there is none.
        "version": Field(int | None, lambda row: row.version or None),
        "published_at": Field(Stamp | None, "published"),
        "owner": Field(PICTURED),
        "latest": Constant(True, bool),
        "stats": Part(
            "Versions",
            "How many versions a product has.",
            {"versions": Field(int, "version", unfiltered=True)},
        ),
        "capabilities": Field(Free, lambda row: capabilities(row.capabilities)),
        "visibility": Part("Visibility", "Why the caller sees a product.", _SEEN_BY),
        "changes_description": Constant("", str),
        "public": Field(bool, lambda row: row.published is not None),
        "staging": Constant(False, bool),
        "events": Part(
            "ProductEvents",
            "The moments of a product.",
            {
                "created": Field(HAPPENED),
                "published": Field(HAPPENED, optional=True),
                "updated": Field(HAPPENED),
            },
        ),
        "purchase_model": str,
        # The document demands a category's name: a product without one has no such key.
        "category": Field(Free, lambda row: row.category or None, optional=True),
        "replacement": Field(
            PRODUCT_REFERENCE,
            lambda row: row.replacement if row.status == "endofsale" else None,
            optional=True,
        ),
        "end_of_sale_notes": Field(
            str,
            lambda row: row.end_of_sale_notes if row.status == "endofsale" else None,
            optional=True,
        ),
    },
    model=Product,
    search=("id", "name"),
    also={
        "replacement.id": "replacement__id",
        "category.id": Field(str, "category_id"),
        "category.name": Field(str, "category_name"),
        **absent(
            "events.published.by.id",
            "events.published.by.name",
            "events.updated.by.id",
            "events.updated.by.name",
            "groups.id",
            "sourcing.marketplaces",
        ),
        # CloudBlue's Zapier app asks for `product.visibility.owner`.
        **{f"product.visibility.{name}": field for name, field in _SEEN_BY.items()},
    },
    custom=[
        looked_up("version", _is_version, ordering="version"),
        *parts("category.parent"),
    ],
)


class Unit(TypedDict):
    """What an item is counted in."""

    id: str
    name: str
    title: str
    unit: str


def _unit(row: Item) -> Json:
    title = row.unit.get("title", "")
    return {"name": title, "title": title, "unit": row.unit.get("id", ""), **row.unit}


def item_is_frozen(status: str = "status") -> Case:
    """Return whether an item has been published, and keeps its type and unit, as an expression."""
    return Case(When(**{status: "draft"}, then=False), default=True, output_field=BooleanField())


ITEM = Resource(
    "Item",
    "An item of a product; words are small here, orders capitalise them.",
    {
        "id": str,
        "name": str,
        "status": Literal["draft", "published", "endofsale"],
        "external_id": str,
        "unit": Field(Unit, _unit),
        "mpn": str,
        "position": int,
        "type": Field(Literal["reservation", "ppu"], lambda row: row.type.lower()),
        "local_id": str,
        "display_name": Field(str, "name"),
        "period": Field(str, lambda row: row.period.lower()),
        "precision": Field(str, lambda row: row.precision.lower()),
        "commitment": Part(
            "Commitment",
            "How many billing periods are bought at once.",
            {"multiplier": Constant("billing_period", str), "count": Field(int, "commitment")},
        ),
        "dynamic": bool,
        "description": str,
        "parent": Constant({}, Free),
        "depth": Constant(0, int),
        "replacement": Field(
            replace(NAMED, keys={**NAMED.keys, "status": str}, named=("id",)), empty={}
        ),
        "end_of_sale_notes": Field(str, unfiltered=True),
        "group": Part("Group", "What items are grouped by.", {"name": str, "mpn": str}),
        "ui": Part(
            "Visible",
            "Whether customers see an item.",
            {"visibility": Field(bool, "visible", unfiltered=True)},
            required=False,
        ),
        "events": Part(
            "ItemEvents",
            "The moments of an item.",
            {
                "created": Field(HAPPENED),
                "updated": Field(HAPPENED),
                "saleended": Field(HAPPENED, "sale_ended", optional=True),
            },
        ),
    },
    model=Item,
    search=("id", "local_id", "mpn", "name"),
    also={
        "verbose_id": "id",
        "global_id": "id",
        "description.value": "description",
        "type": Field(str, "small_type"),
        "item_type": Field(str, "small_type"),
        "period": Field(str, "small_period"),
        "precision": Field(str, "small_precision"),
        "unit.id": Field(str, "unit_id"),
        "unit.title": Field(str, "unit_title"),
        # Of the working copy, the only version.
        **absent("app.id", "applicability", "group.id", "usage_data_type", "version"),
        "frozen": Field(bool, "is_frozen"),
    },
)


class ActionLink(TypedDict):
    """Where an action runs for a subscription or a tier configuration, with a signed token."""

    link: Uri


class ActionSecret(TypedDict):
    """The secret that signs the links of a product's actions."""

    jwt_secret: str


ACTION = Resource(
    "ProductAction",
    "A button on the pages of a subscription.",
    {
        "id": str,
        "action": str,
        "name": str,
        "title": str,
        "type": str,
        "scope": str,
        "description": Field(str, unfiltered=True),
        "url": Field(str, unfiltered=True),
        "events": MADE,
    },
    model=ProductAction,
    search=("id", "action", "name"),
)


def thumbnail(row: ProductMedia) -> str:
    """Return the path of a picture, as Connect has it: relative to the host."""
    ending = row.content_type.rpartition("/")[2]
    return f"/media/product_media/{row.pk}/{thumbnail_key(row)}/{row.pk}.{ending}"


def thumbnail_key(row: ProductMedia) -> str:
    """Return the secret part of a picture's path, which cannot be guessed.

    Browsers and connect-cli fetch pictures without an API key; only callers that see the product
    get the path. A new picture has a new path.
    """
    return salted_hmac("catalog.media", f"{row.pk}/{row.revision}").hexdigest()[:16]


MEDIA = Resource(
    "Media",
    "A picture or a video of a product; `thumbnail` is a path relative to the host.",
    {
        "id": str,
        "position": int,
        "type": Literal["image", "video"],
        "thumbnail": Field(str, thumbnail),
        # Of a picture, where the picture is.
        "url": Field(str, lambda row: row.url or thumbnail(row)),
    },
    model=ProductMedia,
    also={"url": "url"},
)


TEMPLATE = Resource(
    "Template",
    "A text that the customer sees: Markdown with placeholders.",
    {
        "id": str,
        "title": Field(str, lambda row: row.title or row.name),
        "name": str,
        "body": Field(str, unfiltered=True),
        "scope": Literal["asset", "tier1", "tier2"],
        "type": Literal["fulfillment", "inquire", "pending"] | None,
        "position": int,
        "events": MADE,
    },
    model=Template,
    search=("id", "name", "title"),
    also={"title": "title"},
)
