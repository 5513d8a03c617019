"""Reader of uploaded spreadsheets, XLSX or CSV.

Formulas are not evaluated: a cell's value is the one that the workbook stores with the formula.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from openpyxl import load_workbook

from requests_queue.queues.usage_file import cells, columns, csv_rows, limits, structure
from requests_queue.queues.usage_file.leases import LostClaim
from requests_queue.queues.usage_file.limits import Unreadable
from requests_queue.queues.usage_file.spool import Rows

# Rows between two calls of `renew`.
RENEW_ROWS = 2000


@dataclass(slots=True)
class Sheet:
    """The content of a spreadsheet: its rows of records, their columns, and the categories."""

    rows: Rows
    header: list[str]
    categories: dict[str, str] = field(default_factory=dict)


def read(
    content: bytes,
    *,
    required: Sequence[str] = columns.REQUIRED,
    renew: Callable[[], None] = lambda: None,
) -> Sheet:
    """Return the content of a spreadsheet; raises Unreadable.

    Calls `renew` every RENEW_ROWS rows, to renew the lease of the worker.
    """
    if limits.is_workbook(content):
        return _read_workbook(content, required, renew)
    return _table(csv_rows.rows(content), required, renew)


def _read_workbook(content: bytes, required: Sequence[str], renew: Callable[[], None]) -> Sheet:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            structure.check(archive)
        with closing(
            load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        ) as book:
            titles = {str(name).strip().lower(): name for name in book.sheetnames}
            title = next((titles[name] for name in columns.SHEETS if name in titles), None)
            if title is None:
                raise Unreadable(f"The workbook has no sheet {' or '.join(columns.SHEETS)}.")
            sheet = _table(_sheet_rows(book[title]), required, renew)
            if columns.CATEGORIES in titles:
                rows = _sheet_rows(book[titles[columns.CATEGORIES]])
                sheet.categories = _categories(rows, renew)
            return sheet
    except (Unreadable, LostClaim, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            # An error of the system, as a full disk: processing may be retried.
            raise
        # Damaged workbooks make openpyxl raise anything: KeyError, TypeError, ParseError, ...
        raise Unreadable(f"The workbook cannot be read ({type(error).__name__}).") from error


def _sheet_rows(sheet: Any) -> Iterator[Sequence[Any]]:
    # Don't trust the size that the sheet declares.
    sheet.reset_dimensions()
    widest = limits.MAX_COLUMNS + len(columns.FOUND) + 1
    return iter(sheet.iter_rows(max_row=limits.MAX_ROWS + 2, max_col=widest, values_only=True))


def _table(
    rows: Iterable[Sequence[Any]], required: Sequence[str], renew: Callable[[], None]
) -> Sheet:
    numbered = enumerate(rows, 1)
    _, first = next(numbered, (1, ()))
    header = _header(first)
    missing = [name for name in required if name not in header]
    if missing:
        raise Unreadable(f"Columns are missing in row 1: {', '.join(missing)}.")
    indexes = [index for index, name in enumerate(header) if name]
    names = [header[index] for index in indexes]
    table = Rows(names)
    for number, row in numbered:
        if number % RENEW_ROWS == 0:
            renew()
        if number > limits.MAX_ROWS + 1:
            # Empty rows count too.
            raise limits.too_many_rows()
        values = [_storable(row[index]) if index < len(row) else None for index in indexes]
        if any(value not in (None, "") for value in values):
            table.add(number, values)
    return Sheet(table, names)


def _header(row: Sequence[Any]) -> list[str]:
    names = [str(_storable(value) or "").strip().lower() for value in row]
    while names and not names[-1]:
        names.pop()
    if len(names) > limits.MAX_COLUMNS + len(set(names) & set(columns.FOUND)):
        raise limits.too_many_columns()
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise Unreadable(f"Row 1 has the column {repeated[0][:50]} twice.")
    return names


def _storable(value: Any) -> Any:
    """Return a cell's value; texts without forbidden characters, cut to one over the limit."""
    return cells.storable(value[: limits.MAX_TEXT + 1]) if isinstance(value, str) else value


def _categories(rows: Iterable[Sequence[Any]], renew: Callable[[], None]) -> dict[str, str]:
    table = _table(rows, ("category_id",), renew)
    return {
        _category_id(row["category_id"]): str(row.get("category_name") or "")[:255]
        for _, row in table.rows
        if row.get("category_id") not in (None, "")
    }


def _category_id(value: Any) -> str:
    """Return a category's id, parsed as in records; ids that are too long match none."""
    try:
        return cells.text(value)
    except cells.CellError:
        return str(value)
