"""An uploaded spreadsheet, xlsx or csv, becomes rows of plain values; nothing is evaluated.

Of a formula the value is taken that the workbook has stored with it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from openpyxl import load_workbook

from requests_queue.queues.usage_file import cells, columns, limits
from requests_queue.queues.usage_file.claims import LostClaim

Cells = dict[str, Any]
# Rows between two signs of life.
BEAT = 2000


class Unreadable(Exception):
    """The spreadsheet as a whole is of no use; the text says why."""


@dataclass(slots=True)
class Sheet:
    """What is read of a file: (row number, cells by column) pairs, and the categories."""

    rows: list[tuple[int, Cells]]
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
    return _table(_csv_rows(content), required, alive)


def _read_workbook(content: bytes, required: Sequence[str], alive: Callable[[], None]) -> Sheet:
    try:
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
        # A hostile workbook makes openpyxl raise anything: KeyError, TypeError, ParseError, ...
        raise Unreadable(f"The workbook can't be read ({type(error).__name__}).") from error


def _sheet_rows(sheet: Any) -> Iterator[Sequence[Any]]:
    # The size that a sheet says of itself is not believed.
    sheet.reset_dimensions()
    return iter(
        sheet.iter_rows(
            max_row=limits.MAX_ROWS + 2, max_col=limits.MAX_COLUMNS + 1, values_only=True
        )
    )


def _csv_rows(content: bytes) -> Iterator[Sequence[Any]]:
    text = _decoded(content)
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise Unreadable(f"Line {reader.line_num} of the CSV can't be read ({error}).") from None


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        # What is not UTF-8 is from a spreadsheet program on Windows; Latin-1 reads anything.
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("The text is in no encoding that is known here: save it as UTF-8.")


def _table(
    rows: Iterable[Sequence[Any]], required: Sequence[str], alive: Callable[[], None]
) -> Sheet:
    numbered = enumerate(rows, 1)
    _, first = next(numbered, (1, ()))
    header = _header(first)
    missing = [name for name in required if name not in header]
    if missing:
        raise Unreadable(f"Row 1 lacks the column {', '.join(missing)}.")
    found: list[tuple[int, Cells]] = []
    for number, row in numbered:
        if number % BEAT == 0:
            alive()
        if number > limits.MAX_ROWS + 1:
            # Empty ones count: what lies behind them is not looked at.
            raise Unreadable(f"The sheet has more than {limits.MAX_ROWS} rows: split the file.")
        given = {name: _plain(value) for name, value in zip(header, row, strict=False) if name}
        if any(value not in (None, "") for value in given.values()):
            found.append((number, given))
    return Sheet(found, [name for name in header if name])


def _header(row: Sequence[Any]) -> list[str]:
    names = [str(_plain(value) or "").strip().lower() for value in row]
    while names and not names[-1]:
        names.pop()
    if len(names) > limits.MAX_COLUMNS:
        raise Unreadable(f"The sheet has more than {limits.MAX_COLUMNS} columns.")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise Unreadable(f"Row 1 has the column {twice[0][:50]} twice.")
    return names


def _plain(value: Any) -> Any:
    """Return a cell's value, a text without what can't be stored."""
    return cells.plain(value) if isinstance(value, str) else value


def _categories(rows: Iterable[Sequence[Any]], alive: Callable[[], None]) -> dict[str, str]:
    table = _table(rows, ("category_id",), alive)
    return {
        _said(row["category_id"]): str(row.get("category_name") or "")
        for _, row in table.rows
        if row.get("category_id") not in (None, "")
    }


def _said(value: Any) -> str:
    """Return a category's id as the rows' are read; longer ones match none."""
    try:
        return cells.text(value)
    except cells.Wrong:
        return str(value)
