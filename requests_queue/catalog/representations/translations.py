"""Translations: of each product the primary one, which are its own texts."""

from __future__ import annotations

import re
from types import SimpleNamespace

from django.db.models import Q

from requests_queue.api.filter_tables import looked_up
from requests_queue.api.resources import MADE, Constant, Field, Part, Resource, absent
from requests_queue.api.schema import Json
from requests_queue.catalog.models import Product
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.catalog.spreadsheets import workbook_writer

LOCALE = {"id": "EN", "name": "English"}
_TEXTS = 4


def translation_id(row: Product) -> str:
    """Return the id of a product's primary translation: the digits of the product and 000."""
    digits = re.sub(r"\D", "", row.pk).ljust(12, "0")
    return f"TRN-{digits[:4]}-{digits[4:8]}-{digits[8:12]}"


def translation_by_id(given: str) -> Q:
    """Return the condition that a product's primary translation has this id."""
    match = re.fullmatch(r"TRN-(\d{4})-(\d{4})-(\d)000", given)
    digits = "".join(match.groups()) if match else ""
    return Q(pk=f"PRD-{digits[:3]}-{digits[3:6]}-{digits[6:]}")


TRANSLATION = Resource(
    "Translation",
    "The texts of a product in a language: in the one that they are written in.",
    {
        "id": Field(str, translation_id),
        "context": Part(
            "TranslationContext",
            "What is translated.",
            {
                "instance_id": Field(str, "id"),
                "name": str,
                "icon": Field(str, icon),
                "type": Constant("product", str),
            },
        ),
        "owner": Field(PICTURED),
        "locale": Part(
            "TranslationLocale",
            "The language of a translation.",
            {key: Constant(text, str) for key, text in LOCALE.items()},
        ),
        "description": Constant("", str),
        "primary": Constant(True, bool),
        "auto": Part(
            "AutomaticTranslation",
            "Whether the platform translates: it doesn't.",
            {"enabled": Constant(False, bool), "status": Constant("off", str)},
        ),
        "stats": Part(
            "TranslationStats",
            "How many texts there are, and how many of them are translated.",
            {"total": Constant(_TEXTS, int), "translated": Constant(_TEXTS, int)},
        ),
        "status": Constant("active", str),
        "events": MADE,
    },
    model=Product,
    also=absent(
        "context.id",
        "events.created.by.id",
        "events.created.by.name",
        "events.updated.by.id",
        "events.updated.by.name",
    ),
    custom=[looked_up("id", translation_by_id, ordering="pk")],
)


def _texts(row: Product) -> dict[str, str]:
    """Return a product's texts by their keys in a translation."""
    settings = row.customer_ui_settings
    texts = {
        "description": row.short_description,
        "detailed_overview": row.detailed_description,
        "customer_ui_settings.description": settings.get("description", ""),
        "customer_ui_settings.getting_started": settings.get("getting_started", ""),
    }
    assert len(texts) == _TEXTS
    return {f"product.{row.pk}.{key}": text for key, text in texts.items()}


ATTRIBUTE = Part(
    "TranslationAttribute",
    "A text of a product in a language.",
    {
        "key": str,
        "value": str,
        "comment": Constant(None, str | None),
        "auto_translated": Constant(False, bool),
        "events": Field(MADE, "product"),
    },
)


def attributes(row: Product) -> list[Json]:
    """Return a product's texts as attributes of its translation."""
    return [
        ATTRIBUTE.represent(SimpleNamespace(key=key, value=text, product=row))
        for key, text in _texts(row).items()
    ]


def workbook(row: Product) -> bytes:
    """Return the workbook of a product's texts, as Connect's sheet Attributes has them."""
    rows: list[list[str | None]] = [
        ["key", f"{LOCALE['name']} ({translation_id(row)})", "value", "comment", "editor"]
    ]
    for key, text in _texts(row).items():
        storable = workbook_writer.CONTROL_CHARACTERS.sub("", text) or None
        rows.append([key, storable, storable, None, "-"])
    return workbook_writer.write({"Attributes": rows})
