"""The sheet Items."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from django.utils.text import slugify

from requests_queue.catalog.models import Item, Product
from requests_queue.catalog.representations.products import ITEM
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import Row
from requests_queue.catalog.workbooks.session import Session, Table
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.catalog.writes import items as writes
from requests_queue.catalog.writes import products

_STATUSES = ("draft", "published", "endofsale")
_COLUMNS = {
    "": "ID",
    "name": "Name",
    "mpn": "MPN",
    "description": "Description",
    "type": "Type",
    "unit": "Unit",
    "period": "Billing Period",
    "precision": "Precision",
    "commitment": "Commitment",
}
_UNIQUE = ("name", "mpn")


def shown(item: Item) -> Cells:
    """Return an item's row."""
    data = ITEM.represent(item)
    period = data["period"]
    return {
        "ID": data["id"],
        "MPN": data["mpn"],
        "Action": sheets.NONE,
        "Name": data["display_name"],
        "Description": data["description"],
        "Type": data["type"],
        "Precision": data["precision"],
        "Unit": data["unit"]["name"],
        "Billing Period": f"{period[6:]} years" if period.startswith("years_") else period,
        "Commitment": _commitment_text(period, data["commitment"]["count"]),
        "Status": data["status"],
        **sheets.dated(item.created, item.updated),
    }


def _commitment_text(period: str, count: int) -> str:
    """Return the commitment as connect-cli writes it: in years, or in longer billing periods."""
    if count == 1:
        return sheets.NONE
    if period == "monthly":
        years = count // 12
        return f"{years} year{'s' if years > 1 else ''}"
    return f"{count} years"


class _Items:
    """The items of a product, read once for all rows of a file: a query for each takes long."""

    def __init__(self, product: Product) -> None:
        rows = Item.objects.filter(product=product).select_related("replacement")
        self._items: dict[str, Item] = {}
        # The ids of the items with a value of a column, by both.
        self._users: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._units: dict[str, dict[str, str]] = {}
        # The highest ones.
        self._id, self._position = "", 0
        for item in rows:
            self._add(item)

    def _add(self, item: Item) -> None:
        self._items[item.pk] = item
        self._position = max(self._position, item.position)
        self._id = max(self._id, item.pk, key=lambda pk: (len(pk), pk))
        self._note(item)

    def _note(self, item: Item) -> None:
        for name in _UNIQUE:
            self._users[name, getattr(item, name)].add(item.pk)

    def _forget(self, item: Item) -> None:
        for name in _UNIQUE:
            self._users[name, getattr(item, name)].discard(item.pk)

    def _is_used(self, item: Item, name: str, value: str) -> bool:
        return bool(self._users[name, value] - {item.pk})

    def find(self, session: Session, row: Row) -> Item | None:
        """Return the item of a row: by its id, or without one by its MPN."""
        pk = row.key("ID")
        if not pk:
            users = self._users["mpn", row.key("MPN")]
            return self._items[min(users)] if users else None
        if not re.fullmatch(rf"{re.escape(session.product.pk)}-\d{{4,8}}", pk):
            raise row.error("ID", f"Not an id of an item of {session.product.pk}.")
        return self._items.get(pk)

    def create(self, session: Session, row: Row) -> Item:
        """Store a new item."""
        product = session.product
        values = writes.ItemInput().check(self._body(session, row, set(_COLUMNS.values())))
        created, updated = session.dates(row)
        item = Item(product=product, status=_status(row), created=created, updated=updated)
        writes.assign(item, values, self._is_used)
        item.id = row.key("ID") or writes.next_id(product.pk, [self._id])
        item.local_id = item.id.replace("-", "_")
        item.position = self._position + products.POSITION_STEP
        if item.status == "endofsale":
            item.sale_ended = updated
        item.save(force_insert=True)
        self._add(item)
        return item

    def assign(self, session: Session, row: Row, item: Item, columns: set[str]) -> None:
        """Set the columns of an item."""
        body = self._body(session, row, columns)
        values = writes.ItemInput(partial=True).check(body)
        self._forget(item)
        writes.assign(item, values, self._is_used)
        self._note(item)
        if "Status" in columns:
            status = _status(row, item.status)
            if status == "draft":
                raise row.error("Status", writes.STAYS_PUBLISHED)
            item.status = status
            item.sale_ended = session.at if item.status == "endofsale" else None

    def _body(self, session: Session, row: Row, columns: set[str]) -> dict[str, Any]:
        body = _body(row, columns)
        if "Unit" in columns and (title := row.text("Unit").strip()):
            if title not in self._units:
                self._units[title] = _unit(session, title)
            body["unit"] = dict(self._units[title])
        return body


def _body(row: Row, columns: set[str]) -> dict[str, Any]:
    """Return the body of the API for these columns, without the unit."""
    body = {
        path: row.text(column)
        for path, column in _COLUMNS.items()
        if path in ("name", "mpn", "description", "type", "precision") and column in columns
    }
    whole: dict[str, Any] = dict(body)
    period = _period(row)
    if "Billing Period" in columns:
        whole["period"] = period
    if "Commitment" in columns:
        whole["commitment"] = {"count": _commitment(row, period)}
    return whole


def _period(row: Row) -> str:
    text = row.text("Billing Period").strip().lower()
    years = re.fullmatch(r"(\d) years", text)
    return f"years_{years[1]}" if years else text


def _commitment(row: Row, period: str) -> int:
    text = row.key("Commitment")
    if not text:
        return 1
    years = re.fullmatch(r"(\d{1,3}) years?", text)
    if years is None or int(years[1]) == 0:
        raise row.error("Commitment", '"1 year", "2 years", … or - is required.')
    return int(years[1]) * (12 if period == "monthly" else 1)


def _unit(session: Session, title: str) -> dict[str, str]:
    """Return the unit of this title: the vendor's, or a new one."""
    rows = Item.objects.filter(product__owner=session.product.owner_id, unit__title=title)
    known = rows.order_by("pk").first()
    return {"id": known.unit["id"] if known else slugify(title)[:64] or title[:64], "title": title}


def _status(row: Row, default: str = "draft") -> str:
    status = row.text("Status").strip().lower() or default
    if status not in _STATUSES:
        raise row.error("Status", f'"{status[:50]}" is not a valid choice.')
    return status


def table(product: Product) -> Table[Item]:
    """Return how an import reads the sheet of a product."""
    items = _Items(product)
    return Table(
        shown=shown,
        find=items.find,
        create=items.create,
        assign=items.assign,
        name="ID",
        columns=_COLUMNS,
    )
