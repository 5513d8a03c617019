"""Translations: of each product the primary one, which are its own texts."""

from __future__ import annotations

import re

from django.db.models import Q
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from requests_queue.api.filter_tables import looked_up
from requests_queue.api.resources import MADE, Constant, Field, Part, Resource
from requests_queue.api.schema import Free, Named
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
        "locale": Constant(LOCALE, Named),
        "description": Constant("", str),
        "primary": Constant(True, bool),
        "auto": Constant({"enabled": False, "status": "off"}, Free),
        "stats": Constant({"total": _TEXTS, "translated": _TEXTS}, Free),
        "status": Constant("active", str),
        "events": MADE,
    },
    model=Product,
    # The view annotates it.
    also={"primary": Field(bool, "is_primary")},
    custom=[looked_up("id", translation_by_id, ordering="pk")],
)


def attributes(row: Product) -> bytes:
    """Return the workbook of a product's texts, as Connect's sheet Attributes has them."""
    settings = row.customer_ui_settings
    texts = {
        "description": row.short_description,
        "detailed_overview": row.detailed_description,
        "customer_ui_settings.description": settings.get("description", ""),
        "customer_ui_settings.getting_started": settings.get("getting_started", ""),
    }
    assert len(texts) == _TEXTS
    rows: list[list[str | None]] = [
        ["key", f"English ({translation_id(row)})", "value", "comment", "editor"]
    ]
    for key, text in texts.items():
        storable = ILLEGAL_CHARACTERS_RE.sub("", text) or None
        rows.append([f"product.{row.pk}.{key}", storable, storable, None, "-"])
    return workbook_writer.write({"Attributes": rows})
