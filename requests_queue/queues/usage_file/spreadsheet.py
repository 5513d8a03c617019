"""An uploaded spreadsheet, xlsx or csv, becomes rows of plain values; nothing is evaluated.

Of a formula the value is taken that the workbook has stored with it.
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

# Rows between two signs of life.
BEAT = 2000


@dataclass(slots=True)
class Sheet:
    """What is read of a file: (row number, cells by column) pairs, and the categories."""

    rows: Rows
    header: list[str]
    categories: dict[str, str] = field(default_factory=dict)


def read(
    content: bytes,
    *,
    required: Sequence[str] = columns.REQUIRED,
    alive: Callable[[], None] = lambda: None,
) -> Sheet:
    """Return the records of a spreadsheet; `alive` is called on the way; raises Unreadable."""
    if limits.is_workbook(content):
        return _read_workbook(content, required, alive)
    return _table(csv_rows.rows(content), required, alive)


def _read_workbook(content: bytes, required: Sequence[str], alive: Callable[[], None]) -> Sheet:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            structure.check(archive)
        with closing(
            load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        ) as book:
            titles = {str(name).strip().lower(): name for name in book.sheetnames}
            title = next((titles[name] for name in columns.SHEETS if name in titles), None)
            if title is None:
                wanted = " or ".join(columns.SHEETS)
                raise Unreadable(f"The workbook has no sheet {wanted}.")
            sheet = _table(_sheet_rows(book[title]), required, alive)
            if columns.CATEGORIES in titles:
                rows = _sheet_rows(book[titles[columns.CATEGORIES]])
                sheet.categories = _categories(rows, alive)
            return sheet
    except (Unreadable, LostClaim, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            # The disk is full: not the workbook's fault, and worth another attempt.
            raise
        # A hostile workbook makes openpyxl raise anything: KeyError, TypeError, ParseError, ...
        raise Unreadable(f"The workbook can't be read ({type(error).__name__}).") from error


def _sheet_rows(sheet: Any) -> Iterator[Sequence[Any]]:
    # The size that a sheet says of itself is not believed.
    sheet.reset_dimensions()
    widest = limits.MAX_COLUMNS + len(columns.FOUND) + 1
    return iter(sheet.iter_rows(max_row=limits.MAX_ROWS + 2, max_col=widest, values_only=True))


def _table(
    rows: Iterable[Sequence[Any]], required: Sequence[str], alive: Callable[[], None]
) -> Sheet:
    numbered = enumerate(rows, 1)
    _, first = next(numbered, (1, ()))
    header = _header(first)
    missing = [name for name in required if name not in header]
    if missing:
        raise Unreadable(f"Row 1 lacks the column {', '.join(missing)}.")
    wanted = [(place, name) for place, name in enumerate(header) if name]
    names, places = [name for _, name in wanted], [place for place, _ in wanted]
    found = Rows(names)
    for number, row in numbered:
        if number % BEAT == 0:
            alive()
        if number > limits.MAX_ROWS + 1:
            # Empty ones count: what lies behind them is not looked at.
            raise limits.too_many_rows()
        given = [_plain(row[place]) if place < len(row) else None for place in places]
        if any(value not in (None, "") for value in given):
            found.add(number, given)
    return Sheet(found, names)


def _header(row: Sequence[Any]) -> list[str]:
    names = [str(_plain(value) or "").strip().lower() for value in row]
    while names and not names[-1]:
        names.pop()
    if len(names) > limits.MAX_COLUMNS + len(set(names) & set(columns.FOUND)):
        raise limits.too_many_columns()
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise Unreadable(f"Row 1 has the column {twice[0][:50]} twice.")
    return names


def _plain(value: Any) -> Any:
    """Return a cell's value; of a text what can be stored, cut behind what no column takes."""
    return cells.plain(value[: limits.MAX_TEXT + 1]) if isinstance(value, str) else value


def _categories(rows: Iterable[Sequence[Any]], alive: Callable[[], None]) -> dict[str, str]:
    table = _table(rows, ("category_id",), alive)
    return {
        _said(row["category_id"]): str(row.get("category_name") or "")[:255]
        for _, row in table.rows
        if row.get("category_id") not in (None, "")
    }


def _said(value: Any) -> str:
    """Return a category's id as the rows' are read; longer ones match none."""
    try:
        return cells.text(value)
    except cells.Wrong:
        return str(value)
