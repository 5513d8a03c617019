"""Import of a product's workbook: one transaction, which creates the product or changes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from requests_queue import clock
from requests_queue.catalog.models import Account, Parameter, Product, ProductAction, Template
from requests_queue.catalog.spreadsheets.limits import Unreadable
from requests_queue.catalog.workbooks import (
    configured,
    general,
    items,
    media,
    parameters,
    reading,
    sales,
    sheets,
    texts,
)
from requests_queue.catalog.workbooks.reading import CellError, Row, Workbook
from requests_queue.catalog.workbooks.session import Session, in_order, keep, load
from requests_queue.catalog.writes import products, versions
from requests_queue.db import database_limits
from requests_queue.errors import Invalid, Refused


def run(content: bytes, owner: Account, pictures: Mapping[str, bytes]) -> Session:
    """Import a workbook for a vendor; raises Invalid, Refused.

    `pictures` are the files of its sheet Media, by their names.
    """
    try:
        book = reading.read(content)
        pk = book.general.key("Product ID")
        if not re.fullmatch(r"PRD-\d\d\d-\d\d\d-\d\d\d", pk):
            raise book.general.error("Product ID", "An id like PRD-000-000-000 is required.")
        with database_limits.lifted(transactions=True), transaction.atomic():
            product, is_new = _locked(book.general, pk, owner)
            session = Session(product, clock.shown(clock.now()), is_new, pictures)
            _load(session, book)
            if is_new:
                # A file is of a published product; what it calls a draft stays one.
                versions.publish(product, {"public": True})
            if warning := sales.offer(product):
                session.warnings.append(warning)
    except (Unreadable, CellError) as error:
        raise Invalid("", str(error)) from None
    except IntegrityError:
        text = "Another request has changed the product meanwhile. Nothing was imported. Try again."
        raise Refused("SYS_409", text, status=409) from None
    return session


def _locked(row: Row, pk: str, owner: Account) -> tuple[Product, bool]:
    """Return the product, created if it is missing, locked until the transaction ends."""
    now = clock.shown(clock.now())
    defaults = {
        "owner": owner,
        "name": pk,
        "created": now,
        "updated": now,
        "status": "draft",
        "version": 0,
    }
    product, created = Product.objects.get_or_create(pk=pk, defaults=defaults)
    if not created:
        product = products.begin_change(product)
    if product.owner_id != owner.pk:
        raise row.error("Product ID", f"{pk} belongs to {product.owner_id}, not to {owner.pk}.")
    return product, created


def _load(session: Session, book: Workbook) -> None:
    rows = {sheet: _without_deleted(session, found) for sheet, found in book.rows.items()}
    _load_product(session, book.general, rows)
    session.check()
    product = session.product
    tables: tuple[tuple[str, Any, Any], ...] = (
        (sheets.ITEMS, items.table(product), product.items.all()),
        (sheets.TEMPLATES, texts.TEMPLATES, Template.objects.filter(product=product)),
        (sheets.ACTIONS, texts.ACTIONS, ProductAction.objects.filter(product=product)),
    )
    for sheet, table, stored in tables:
        if sheet in rows:
            named = load(session, table, rows[sheet])
            keep(session, sheet, stored, named)
            if sheet != sheets.ACTIONS:
                in_order(session, sheet, named)
    _load_parameters(session, rows)
    if sheets.MEDIA in rows:
        media.load_all(session, rows[sheets.MEDIA])
    session.check()
    if sheets.CONFIGURATION in rows:
        configured.load_all(session, rows[sheets.CONFIGURATION])
    session.check()
    _name_the_rest(session, book)


def _load_product(session: Session, row: Row, rows: Mapping[str, list[Row]]) -> None:
    before = len(session.changes)
    general.load(session, row)
    if sheets.CAPABILITIES in rows:
        general.load_capabilities(session, rows[sheets.CAPABILITIES])
    if sheets.LINKS in rows:
        general.load_links(session, rows[sheets.LINKS])
    if len(session.changes) > before:
        session.product.updated = session.at
        session.product.save()


def _load_parameters(session: Session, rows: Mapping[str, list[Row]]) -> None:
    found = [sheet for sheet in sheets.PARAMETERS.values() if sheet in rows]
    every = [row for sheet in found for row in rows[sheet]]
    named = parameters.load_all(session, every)
    parameters.name_unknown(session, every)
    for phase, sheet in sheets.PARAMETERS.items():
        if sheet in rows:
            mine = [each for each in named if each.phase == phase]
            stored = Parameter.objects.filter(product=session.product, phase=phase)
            keep(session, sheet, stored, mine, "name")
            in_order(session, sheet, mine)


def _without_deleted(session: Session, rows: list[Row]) -> list[Row]:
    """Return the rows that an import reads: not those that connect-cli is to delete."""
    found = []
    for row in rows:
        with session.row(row, {"": "Action"}):
            if row.key("Action").lower() == "delete":
                session.skip("rows with the action delete")
            else:
                found.append(row)
    return found


def _name_the_rest(session: Session, book: Workbook) -> None:
    """Record what the file has and Connect Sim doesn't."""
    if book.general.key("Product Icon file name"):
        session.skip("icon", 0)
    locale = book.general.key("Primary Translation Locale")
    if locale and locale != general.LOCALE:
        session.skip(f"primary locale {locale[:60]}", 0)
    for title, count in book.counts.items():
        if title in (sheets.TRANSLATIONS, sheets.MESSAGES):
            if count:
                session.skip(title.lower(), count)
        elif match := re.fullmatch(r"[\w-]{2,} \((TRN-\d{4}-\d{4}-\d{4})\)", title):
            if count and match[1] != book.primary:
                session.skip("translated attributes", count)
        else:
            session.skip(f'sheet "{title[:60]}"', count)
    for sheet, column in book.unknown_columns:
        session.skip(f'column "{column}" of {sheet}', 0)
