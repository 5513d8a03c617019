"""Export of a product as a workbook that `ccli product sync`, and our import, can read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from requests_queue import clock
from requests_queue.catalog.models import Configuration, Parameter, Product
from requests_queue.catalog.representations.translations import TRANSLATION
from requests_queue.catalog.spreadsheets import workbook_writer
from requests_queue.catalog.workbooks import (
    configured,
    general,
    items,
    media,
    parameters,
    sheets,
    texts,
)
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.errors import Refused


def workbook(product: Product) -> bytes:
    """Return the workbook of a product; raises Refused for a text that no cell can have."""
    return workbook_writer.write(
        {
            sheets.GENERAL: _general(product),
            **{title: _table(title, rows) for title, rows in _rows(product).items()},
        }
    )


def with_pictures(product: Product, icon: str) -> bytes:
    """Return a ZIP archive with the workbook, its icon and its pictures, as `ccli` has them.

    `icon` is the SVG of the icon.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{product.pk}.xlsx", workbook(product))
        archive.writestr(f"media/{general.icon_name(product)}", icon)
        for row in product.media.all():
            archive.writestr(f"media/{media.file_name(row)}", bytes(row.content))
    return buffer.getvalue()


def _rows(product: Product) -> dict[str, list[Cells]]:
    """Return the rows of each sheet but the first, in the order of connect-cli."""
    by_phase: dict[str, list[Cells]] = {phase: [] for phase in sheets.PARAMETERS}
    for row in Parameter.objects.filter(product=product):
        by_phase[row.phase].append(parameters.shown(row))
    values = Configuration.objects.filter(product=product)
    found = {
        sheets.CAPABILITIES: general.shown_capabilities(product),
        sheets.LINKS: general.shown_links(product),
        sheets.MEDIA: [media.shown(row) for row in product.media.all()],
        sheets.TEMPLATES: [texts.shown_template(row) for row in product.templates.all()],
        sheets.ITEMS: [items.shown(row) for row in product.items.select_related("replacement")],
        **{title: by_phase[phase] for phase, title in sheets.PARAMETERS.items()},
        sheets.ACTIONS: [texts.shown_action(row) for row in product.actions.all()],
        sheets.CONFIGURATION: [
            configured.shown(row)
            for row in values.select_related("parameter", "item", "marketplace")
        ],
        sheets.TRANSLATIONS: [_translation(product)],
    }
    return {title: found.get(title, []) for title in sheets.COLUMNS}


def _translation(product: Product) -> Cells:
    """Return the row of the primary translation, without which connect-cli fails."""
    data = TRANSLATION.represent(product)
    return {
        "Translation ID": data["id"],
        "Action": sheets.NONE,
        "Context ID": product.pk,
        "Context": product.name,
        "Owner ID": product.owner_id,
        "Owner": product.owner.name,
        "Locale": general.LOCALE,
        "Description": sheets.NONE,
        "Autotranslation": general.DISABLED,
        "Completion": 1,
        "Status": data["status"],
        "Is primary": "Yes",
        "Created": data["events"]["created"]["at"],
        "Updated": data["events"]["updated"]["at"],
    }


def _general(product: Product) -> Iterator[list[Any]]:
    yield ["Product information"]
    yield from ([] for _ in range(sheets.FIRST_LABEL - 2))
    shown = general.shown(product, clock.now().replace(tzinfo=None).isoformat())
    for label in sheets.LABELS:
        yield [label, _cell(sheets.GENERAL, label, shown[label])]


def _table(title: str, rows: Iterable[Cells]) -> Iterator[list[Any]]:
    columns = sheets.COLUMNS[title]
    yield list(columns)
    for row in rows:
        yield [_cell(title, column, row[column]) for column in columns]


def _cell(title: str, column: str, value: object) -> object:
    """Return the value, raise Refused for a text that a cell cannot have."""
    problem = ""
    if isinstance(value, str) and len(value) > sheets.MAX_TEXT:
        problem = f"A cell cannot have more than {sheets.MAX_TEXT} characters."
    elif isinstance(value, str) and workbook_writer.CONTROL_CHARACTERS.search(value):
        problem = "A cell cannot have control characters."
    if problem:
        raise Refused("REQ_003", f"{title}, {column}: {problem}", status=409)
    return value
