"""Validation of the rows of a usage spreadsheet: each becomes a valid or an invalid record."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from requests_queue.catalog.models import Item
from requests_queue.catalog.spreadsheets.workbook_reader import cell_text
from requests_queue.queues.usage_file import cells, columns
from requests_queue.queues.usage_file.cells import CellError
from requests_queue.queues.usage_file.matching import Assets, Items
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from requests_queue.queues.usage_file.spreadsheet import Cells

T = TypeVar("T")
# Schemas whose rows require an amount.
_PRICED = ("pr", "cr", "tr")
# Characters of an invalid value that its error keeps.
MAX_RAW_VALUE = 100


class Checker:
    """Validates the rows of one file in batches and detects repeated record ids."""

    def __init__(self, file: UsageFile, categories: frozenset[str]) -> None:
        self._file = file
        self._categories = categories
        self._items = Items(file)
        self._assets = Assets(file)
        # Row numbers by record id.
        self._rows: dict[str, int] = {}

    def check(self, batch: list[tuple[int, Cells]]) -> list[UsageRecord]:
        """Return an unsaved record for each (row number, cells)."""
        self._assets.look_up(
            (
                _truncated(row.get("asset_search_criteria")),
                _truncated(row.get("asset_search_value")),
            )
            for _, row in batch
        )
        return [self._record(number, row) for number, row in batch]

    def _record(self, number: int, row: Cells) -> UsageRecord:
        if row.get("vendor_record_id"):
            # A processed file that is uploaded again has Connect's id as its `record_id`.
            row = {**row, "record_id": row["vendor_record_id"]}
        check = _Row(row)
        record = UsageRecord(
            pk=record_pk(self._file.pk, number),
            file=self._file,
            row=number,
            record_id=check.cell("record_id", partial(self._record_id, number))
            or _truncated(row.get("record_id")),
            record_note=check.cell("record_note", lambda v: cells.text(v, 2000)) or "",
            item_search_criteria=_truncated(row.get("item_search_criteria")),
            item_search_value=_truncated(row.get("item_search_value")),
            asset_search_criteria=_truncated(row.get("asset_search_criteria")),
            asset_search_value=_truncated(row.get("asset_search_value")),
            start_date=check.cell("start_time_utc", cells.moment),
            end_date=check.cell("end_time_utc", cells.moment),
            amount=check.cell("amount", self._amount),
            tier=check.cell("tier", self._tier),
            category=check.cell("category_id", self._category) or "",
            params=check.params(),
        )
        record.item = self._item(check, row)
        quantity = check.cell("quantity", lambda v: _quantity(v, record.item))
        record.quantity = quantity if quantity is not None else Decimal(0)
        record.asset_id = check.cell("asset_search_value", lambda v: self._asset(row, v))
        if record.start_date and record.end_date and record.end_date < record.start_date:
            check.add_error("end_time_utc", CellError("USG_007", "The end is before the start."))
        record.errors = check.errors
        record.status = "invalid" if check.errors else "valid"
        return record

    def _record_id(self, number: int, value: Any) -> str:
        # The PHP SDK sends records without an id: number them as the Haxe SDK does.
        record_id = cells.text(value) or f"{self._file.pk}_record_{number}"
        first = self._rows.setdefault(record_id, number)
        if first != number:
            raise CellError("USG_008", f"Row {first} already has this record_id.")
        return record_id

    def _amount(self, value: Any) -> Decimal | None:
        # A negative amount is a credit.
        amount = cells.number(value, signed=True)
        if amount is None and self._file.schema in _PRICED:
            raise CellError(
                "USG_001", f"This field is required by schema {self._file.schema.upper()}."
            )
        return amount

    def _tier(self, value: Any) -> int | None:
        tier = cells.tier(value)
        if tier is None and self._file.schema == "tr":
            raise CellError("USG_001", "This field is required by schema TR.")
        return tier

    def _category(self, value: Any) -> str:
        category = cells.text(value)
        if category and self._categories and category not in self._categories:
            raise CellError("USG_009", f"The sheet {columns.CATEGORIES} has no such category.")
        return category

    def _item(self, check: _Row, row: Cells) -> Item | None:
        criteria = check.cell("item_search_criteria", cells.required)
        value = check.cell("item_search_value", cells.required)
        if criteria is None or value is None:
            return None
        column = "item_search_criteria"
        try:
            item = self._items.find(criteria, value)
            column = "item_search_value"
            return item or self._defined_item(row, criteria, value)
        except CellError as error:
            check.add_error(column, error)
            return None

    def _defined_item(self, row: Cells, criteria: str, value: str) -> Item:
        unknown = CellError("USG_011", f"The product has no item with {criteria} {value}.")
        mpn, name = cells.text(row.get("item_mpn"), 128), cells.text(row.get("item_name"))
        if not (mpn and name and self._items.dynamic):
            raise unknown
        unit = cells.text(row.get("item_unit"), 64) or "unit"
        return self._items.define(mpn, name, unit, cells.text(row.get("item_precision"), 16))

    def _asset(self, row: Cells, value: Any) -> str:
        criteria = cells.text(row.get("asset_search_criteria"))
        if not criteria:
            raise CellError("USG_001", "The column asset_search_criteria is required.")
        return self._assets.find(criteria, cells.required(value))


class _Row:
    """Parses the cells of a row and collects their errors."""

    def __init__(self, row: Cells) -> None:
        self._row = row
        self.errors: list[dict[str, str]] = []

    def cell(self, column: str, parse: Callable[[Any], T]) -> T | None:
        try:
            return parse(self._row.get(column))
        except CellError as error:
            self.add_error(column, error)
            return None

    def add_error(self, column: str, error: CellError) -> None:
        raw = self._row.get(column)
        self.errors.append(
            {
                "column": column,
                "code": error.code,
                "message": error.message[:500],
                "raw_value": "" if raw is None else str(raw)[:MAX_RAW_VALUE],
            }
        )

    def params(self) -> list[dict[str, str]]:
        params = []
        for name, value in self._row.items():
            # A processed file that is uploaded again has the columns of results too.
            if name in columns.RECORD or name in columns.FOUND or value in (None, ""):
                continue
            text = self.cell(name, cells.text)
            if text is not None:
                params.append({"parameter_name": name[:255], "parameter_value": text})
        return params


def record_pk(file_pk: str, number: int) -> str:
    """Return a record's id: `UR-`, the digits of the file's id and eight digits of the row."""
    return f"UR-{file_pk.partition('-')[2]}-{number // 10000:04d}-{number % 10000:04d}"


def _quantity(value: Any, item: Item | None) -> Decimal:
    quantity = cells.number(value)
    if quantity is None:
        raise CellError("USG_001", "This field is required.")
    if item is not None:
        precision = item.precision.lower()
        digits = precision[8:-1]
        allowed = int(digits) if precision.startswith("decimal(") and digits.isdigit() else 0
        if cells.decimals(quantity) > allowed:
            raise CellError("USG_012", f"The precision of {item.pk} is {precision}.")
    return quantity


def _truncated(value: Any) -> str:
    """Return a cell as text, cut to the length of the record's column."""
    return cell_text(value).strip()[:255]
