"""Reader of a product's workbook, with bounded memory.

Formulas are refused: their values are whatever the last program stored, and connect-cli stores
none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from requests_queue.catalog.spreadsheets import workbook_reader
from requests_queue.catalog.spreadsheets.limits import Unreadable
from requests_queue.catalog.spreadsheets.workbook_reader import (
    FORMULA,
    ErrorValue,
    cell_text,
    column_letters,
)
from requests_queue.catalog.workbooks import sheets

MAX_ROWS = 2000
MAX_SHEETS = 100
# More than any sheet has, so that unknown columns are found.
_MAX_COLUMNS = 30


class CellError(Exception):
    """A cell has an invalid value; the text begins with its sheet and its place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")


@dataclass(slots=True)
class Row:
    """A row of a sheet: its number, its values by column, and the letters of the columns."""

    sheet: str
    number: int
    values: dict[str, Any]
    letters: dict[str, str]

    def place(self, column: str) -> str:
        """Return where a column's cell is: `Items!F4`."""
        return f"{self.sheet}!{self.letters.get(column, 'A')}{self.number}"

    def error(self, column: str, message: str) -> CellError:
        """Return the error of a column's cell."""
        return CellError(self.place(column), message)

    def text(self, column: str) -> str:
        """Return a cell as text, empty where there is none; raises CellError."""
        value = self.values.get(column)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise self.error(column, f"A text is required, not a {_kind(value)}.")
        return cell_text(value)

    def key(self, column: str) -> str:
        """Return a cell as an identifier, empty for `-`; raises CellError."""
        value = self.text(column).strip()
        return "" if value == sheets.NONE else value

    def switch(self, column: str) -> bool:
        """Return whether a cell is True rather than `-`; raises CellError."""
        value = self.values.get(column)
        words = {"true": True, "false": False, sheets.NONE: False, "": False}
        found = value if isinstance(value, bool) else words.get(str(value or "").strip().lower())
        if found is None:
            raise self.error(column, "True or - is required.")
        return found

    def moment(self, column: str) -> datetime | None:
        """Return a cell as a date, None where there is none; raises CellError."""
        value = self.values.get(column)
        if value in (None, "", sheets.NONE):
            return None
        try:
            found = value if isinstance(value, datetime) else parse_datetime(str(value))
            if found is not None:
                found = found if found.tzinfo else found.replace(tzinfo=UTC)
                return found.astimezone(UTC).replace(microsecond=0)
        except (ValueError, OverflowError):
            pass
        raise self.error(column, "Not a valid date.")


@dataclass(slots=True)
class Workbook:
    """A product's workbook: the labeled values of its first sheet, and the rows of the others.

    A sheet that the file lacks has no entry in `rows`. `counts` are the rows of sheets that are
    not read; `unknown_columns` are pairs of sheet and column. `primary` is the id of the primary
    translation, whose texts are those of the other sheets.
    """

    general: Row
    rows: dict[str, list[Row]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unknown_columns: list[tuple[str, str]] = field(default_factory=list)
    primary: str = ""


def read(content: bytes) -> Workbook:
    """Return the content of a workbook; raises Unreadable, CellError."""
    with closing(workbook_reader.Workbook(content, keeps_texts=True)) as book:
        if len(book.titles) > MAX_SHEETS:
            raise Unreadable(f"The workbook has more than {MAX_SHEETS} sheets.")
        if sheets.GENERAL not in book.titles:
            raise Unreadable(
                f"The workbook has no sheet {sheets.GENERAL}: it is not a file of "
                f"`ccli product export`."
            )
        found = Workbook(_general(book))
        for title in book.titles:
            rows = _rows(book, title)
            if title in sheets.READ:
                found.rows[title], unknown = _table(title, rows)
                found.unknown_columns += [(title, name) for name in unknown]
            elif title != sheets.GENERAL:
                others = [cells for _, cells in _filled(rows)]
                if title == sheets.TRANSLATIONS:
                    primary = [cells for cells in others if _is_primary(cells)]
                    found.primary = "".join(str(cells["A"]) for cells in primary[:1])
                    others = [cells for cells in others if not _is_primary(cells)]
                found.counts[title] = len(others)
        return found


def _is_primary(cells: dict[str, Any]) -> bool:
    column = column_letters(sheets.COLUMNS[sheets.TRANSLATIONS].index("Is primary") + 1)
    return cells.get(column) == "Yes"


def _general(book: workbook_reader.Workbook) -> Row:
    """Return column B of the first sheet as a row, by the labels in column A."""
    values: dict[str, Any] = {}
    labels = {cell: label for label, cell in sheets.CELL.items()}
    for number, cells in book.rows(sheets.GENERAL, 2, formulas=True):
        label = labels.get(f"B{number}")
        if label is None:
            continue
        name, value, *_ = [*cells, None, None]
        found = _value(name, f"{sheets.GENERAL}!A{number}")
        if found != label and label != sheets.LABELS[-1]:
            # Files of older versions lack the last label.
            raise CellError(f"{sheets.GENERAL}!A{number}", f'This must be "{label}".')
        values[label] = _value(value, f"{sheets.GENERAL}!B{number}")
    return _General(sheets.GENERAL, 0, values, {})


class _General(Row):
    """The first sheet, whose values are below each other."""

    def place(self, column: str) -> str:
        """Return where the value of a label is."""
        return f"{self.sheet}!{sheets.CELL[column]}"


def _table(title: str, rows: Iterator[tuple[int, list[Any]]]) -> tuple[list[Row], list[str]]:
    """Return the rows of a sheet, and its unknown columns; raises CellError, Unreadable."""
    letters: dict[str, str] = {}
    unknown = []
    number, header = next(rows, (1, []))
    for place, cell in enumerate(header if number == 1 else [], 1):
        letter = column_letters(place)
        name = str(_value(cell, f"{title}!{letter}1") or "").strip()
        if not name:
            continue
        if name in letters:
            raise CellError(f"{title}!{letter}1", f"The column {name[:50]} is there twice.")
        letters[name] = letter
        if name not in sheets.COLUMNS[title]:
            unknown.append(name[:50])
    for place, name in enumerate(sheets.COLUMNS[title], 1):
        if name not in letters:
            raise CellError(
                f"{title}!{column_letters(place)}1",
                f"The column {name} is missing.",
            )
    return [
        Row(
            title,
            number,
            {
                name: _value(cells[letter], f"{title}!{letter}{number}")
                for name, letter in letters.items()
                if letter in cells
            },
            letters,
        )
        for number, cells in _filled(rows)
    ], unknown


def _rows(book: workbook_reader.Workbook, title: str) -> Iterator[tuple[int, list[Any]]]:
    """Yield the number and the values of each row of a sheet; raises Unreadable."""
    for number, values in book.rows(title, _MAX_COLUMNS, formulas=True):
        if number > MAX_ROWS + 1:
            # Empty rows count, too.
            raise Unreadable(f"The sheet {title[:50]} has more than {MAX_ROWS} rows.")
        yield number, values


def _filled(rows: Iterator[tuple[int, list[Any]]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the cells, by letter, of each row below the first that has values."""
    for number, values in rows:
        if number > 1 and any(value not in (None, "") for value in values):
            yield (
                number,
                {column_letters(at): value for at, value in enumerate(values, 1)},
            )


def _value(value: Any, place: str) -> Any:
    """Return the value of a cell; raises CellError for a formula or an error."""
    if value is FORMULA:
        raise CellError(place, "This is a formula. Replace it with its value.")
    if isinstance(value, ErrorValue):
        raise CellError(place, f"This is an error of the spreadsheet, {value[:50]}.")
    return value


def _kind(value: Any) -> str:
    return {"bool": "truth value", "datetime": "date"}.get(type(value).__name__, "number or date")
