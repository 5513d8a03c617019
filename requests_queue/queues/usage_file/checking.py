"""A row of a usage spreadsheet becomes a record: valid, or invalid with what is wrong where."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from requests_queue.catalog.models import Item
from requests_queue.queues.usage_file import cells, columns
from requests_queue.queues.usage_file.cells import Wrong
from requests_queue.queues.usage_file.matching import Assets, Items
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from requests_queue.queues.usage_file.spool import Cells

T = TypeVar("T")
# Schemas whose rows must say what the usage costs.
_PRICED = ("pr", "cr", "tr")
RAW = 100


class Checker:
    """Checks the rows of one file, batch by batch; remembers the record ids that it has seen."""

    def __init__(self, file: UsageFile, categories: dict[str, str]) -> None:
        self._file = file
        self._categories = categories
        self._items = Items(file)
        self._assets = Assets(file)
        self._seen: dict[str, int] = {}

    def check(self, batch: list[tuple[int, Cells]]) -> list[UsageRecord]:
        """Return an unsaved record for each (row number, cells)."""
        self._assets.look_up(
            (_loose(row.get("asset_search_criteria")), _loose(row.get("asset_search_value")))
            for _, row in batch
        )
        return [self._record(number, row) for number, row in batch]

    def _record(self, number: int, row: Cells) -> UsageRecord:
        if row.get("vendor_record_id"):
            # Of a processed file that comes back, whose `record_id` is ours.
            row = {**row, "record_id": row["vendor_record_id"]}
        check = _Row(row)
        record = UsageRecord(
            pk=record_pk(self._file.pk, number),
            file=self._file,
            row=number,
            record_id=check.cell("record_id", self._record_id(number))
            or _loose(row.get("record_id")),
            record_note=check.cell("record_note", lambda v: cells.text(v, 2000)) or "",
            item_search_criteria=_loose(row.get("item_search_criteria")),
            item_search_value=_loose(row.get("item_search_value")),
            asset_search_criteria=_loose(row.get("asset_search_criteria")),
            asset_search_value=_loose(row.get("asset_search_value")),
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
            check.wrong("end_time_utc", Wrong("USG_007", "The end lies before the start."))
        record.errors = check.errors
        record.status = "invalid" if check.errors else "valid"
        return record

    def _record_id(self, number: int) -> Callable[[Any], str]:
        def read(value: Any) -> str:
            # The Haxe SDK numbers records that have no id, the PHP SDK sends them as they are.
            found = cells.text(value) or f"{self._file.pk}_record_{number}"
            before = self._seen.setdefault(found, number)
            if before != number:
                raise Wrong("USG_008", f"Row {before} has this record_id already.")
            return found

        return read

    def _amount(self, value: Any) -> Decimal | None:
        # A negative one is a credit.
        found = cells.number(value, signed=True)
        if found is None and self._file.schema in _PRICED:
            raise Wrong("USG_001", f"This field is required by schema {self._file.schema.upper()}.")
        return found

    def _tier(self, value: Any) -> int | None:
        found = cells.tier(value)
        if found is None and self._file.schema == "tr":
            raise Wrong("USG_001", "This field is required by schema TR.")
        return found

    def _category(self, value: Any) -> str:
        found = cells.text(value)
        if found and self._categories and found not in self._categories:
            raise Wrong("USG_009", f"The sheet {columns.CATEGORIES} has no such category.")
        return found

    def _item(self, check: _Row, row: Cells) -> Item | None:
        criteria = check.cell("item_search_criteria", cells.required)
        value = check.cell("item_search_value", cells.required)
        if criteria is None or value is None:
            return None
        column = "item_search_criteria"
        try:
            found = self._items.find(criteria, value)
            column = "item_search_value"
            if found is not None:
                return found
            return self._defined(row, criteria, value)
        except Wrong as wrong:
            check.wrong(column, wrong)
            return None

    def _defined(self, row: Cells, criteria: str, value: str) -> Item:
        unknown = Wrong("USG_011", f"The product has no item with {criteria} {value}.")
        mpn, name = cells.text(row.get("item_mpn"), 128), cells.text(row.get("item_name"))
        if not (mpn and name and self._items.dynamic):
            raise unknown
        unit = cells.text(row.get("item_unit"), 64) or "unit"
        return self._items.define(mpn, name, unit, cells.text(row.get("item_precision"), 16))

    def _asset(self, row: Cells, value: Any) -> str:
        criteria = cells.text(row.get("asset_search_criteria"))
        if not criteria:
            raise Wrong("USG_001", "asset_search_criteria is required.")
        return self._assets.find(criteria, cells.required(value))


class _Row:
    """Reads the cells of a row and collects what is wrong with them."""

    def __init__(self, row: Cells) -> None:
        self._row = row
        self.errors: list[dict[str, str]] = []

    def cell(self, column: str, read: Callable[[Any], T]) -> T | None:
        try:
            return read(self._row.get(column))
        except Wrong as wrong:
            self.wrong(column, wrong)
            return None

    def wrong(self, column: str, wrong: Wrong) -> None:
        raw = self._row.get(column)
        self.errors.append(
            {
                "column": column,
                "code": wrong.code,
                "message": wrong.message[:500],
                "raw_value": "" if raw is None else str(raw)[:RAW],
            }
        )

    def params(self) -> list[dict[str, str]]:
        found = []
        for name, value in self._row.items():
            # What is found is in the processed file, which may come back.
            if name in columns.RECORD or name in columns.FOUND or value in (None, ""):
                continue
            text = self.cell(name, cells.text)
            if text is not None:
                found.append({"parameter_name": name[:255], "parameter_value": text})
        return found


def record_pk(file_pk: str, number: int) -> str:
    """Return a record's id, `UR-` and the file's digits and eight of its row's number."""
    return f"UR-{file_pk.partition('-')[2]}-{number // 10000:04d}-{number % 10000:04d}"


def _quantity(value: Any, item: Item | None) -> Decimal:
    found = cells.number(value)
    if found is None:
        raise Wrong("USG_001", "This field is required.")
    if item is not None:
        kind = item.precision.lower()
        allowed = int(kind[8:-1]) if kind.startswith("decimal(") and kind[8:-1].isdigit() else 0
        if cells.decimals(found) > allowed:
            raise Wrong("USG_012", f"{item.pk} is counted in {kind}.")
    return found


def _loose(value: Any) -> str:
    """Return what a cell says, cut to what the column of a record holds."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()[:255]
