"""Reader of a product's workbook, with bounded memory.

Formulas are refused: their values are whatever the last program stored, and connect-cli stores
none.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from requests_queue.queues.usage_file import structure
from requests_queue.queues.usage_file.limits import Unreadable
from sandbox.product_files import sheets

# Extensions that openpyxl doesn't read: what lists a cell offers, and the like.
warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")

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
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.error(column, f"A text is required, not a {_kind(value)}.")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value)

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
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            structure.check(archive)
        with closing(load_workbook(io.BytesIO(content), read_only=True, keep_links=False)) as book:
            return _read(book)
    except (Unreadable, CellError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Damaged workbooks make openpyxl raise anything: KeyError, TypeError, ParseError, ...
        raise Unreadable(f"The workbook cannot be read ({type(error).__name__}).") from error


def _read(book: Any) -> Workbook:
    if len(book.sheetnames) > MAX_SHEETS:
        raise Unreadable(f"The workbook has more than {MAX_SHEETS} sheets.")
    if sheets.GENERAL not in book.sheetnames:
        raise Unreadable(
            f"The workbook has no sheet {sheets.GENERAL}: it is not a file of "
            f"`ccli product export`."
        )
    found = Workbook(_general(book[sheets.GENERAL]))
    for title in book.sheetnames:
        if title in sheets.READ:
            found.rows[title], unknown = _table(title, book[title])
            found.unknown_columns += [(title, name) for name in unknown]
        elif title != sheets.GENERAL:
            rows = [cells for _, cells in _filled(title, book[title])]
            if title == sheets.TRANSLATIONS:
                primary = [cells for cells in rows if _is_primary(cells)]
                found.primary = "".join(str(cells["A"].value) for cells in primary[:1])
                rows = [cells for cells in rows if not _is_primary(cells)]
            found.counts[title] = len(rows)
    return found


def _is_primary(cells: dict[str, Any]) -> bool:
    column = get_column_letter(sheets.COLUMNS[sheets.TRANSLATIONS].index("Is primary") + 1)
    return column in cells and cells[column].value == "Yes"


def _general(sheet: Any) -> Row:
    """Return column B of the first sheet as a row, by the labels in column A."""
    values: dict[str, Any] = {}
    last = sheets.FIRST_LABEL + len(sheets.LABELS) - 1
    labels = {cell: label for label, cell in sheets.CELL.items()}
    for number, cells in enumerate(_cells(sheet, last, 2), 1):
        label = labels.get(f"B{number}")
        if label is None or not cells:
            continue
        found = _value(cells[0], f"{sheets.GENERAL}!A{number}")
        if found != label and label != sheets.LABELS[-1]:
            # Files of older versions lack the last label.
            raise CellError(f"{sheets.GENERAL}!A{number}", f'This must be "{label}".')
        if len(cells) > 1:
            values[label] = _value(cells[1], f"{sheets.GENERAL}!B{number}")
    return _General(sheets.GENERAL, 0, values, {})


class _General(Row):
    """The first sheet, whose values are below each other."""

    def place(self, column: str) -> str:
        """Return where the value of a label is."""
        return f"{self.sheet}!{sheets.CELL[column]}"


def _table(title: str, sheet: Any) -> tuple[list[Row], list[str]]:
    """Return the rows of a sheet, and its unknown columns; raises CellError, Unreadable."""
    letters: dict[str, str] = {}
    unknown = []
    for place, cell in enumerate(next(_cells(sheet, 1, _MAX_COLUMNS), ()), 1):
        letter = get_column_letter(place)
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
                f"{title}!{get_column_letter(place)}1", f"The column {name} is missing."
            )
    return [
        Row(
            title, number,
            {
                name: _value(cells[letter], f"{title}!{letter}{number}")
                for name, letter in letters.items() if letter in cells
            },
            letters,
        )
        for number, cells in _filled(title, sheet)
    ], unknown  # fmt: skip


def _filled(title: str, sheet: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the cells, by letter, of each row below the first that has values."""
    for number, cells in enumerate(_cells(sheet, MAX_ROWS + 2, _MAX_COLUMNS), 1):
        if number > MAX_ROWS + 1:
            # Empty rows count, too.
            raise Unreadable(f"The sheet {title[:50]} has more than {MAX_ROWS} rows.")
        if number > 1 and any(cell.value not in (None, "") for cell in cells):
            yield number, {get_column_letter(at): cell for at, cell in enumerate(cells, 1)}


def _cells(sheet: Any, last: int, columns: int) -> Iterator[Any]:
    # Don't trust the size that the sheet declares.
    sheet.reset_dimensions()
    return iter(sheet.iter_rows(max_row=last, max_col=columns))


def _value(cell: Any, place: str) -> Any:
    """Return the value of a cell; raises CellError for a formula or an error."""
    if cell.data_type == "f":
        raise CellError(place, "This is a formula. Replace it with its value.")
    if cell.data_type == "e":
        raise CellError(place, f"This is an error of the spreadsheet, {cell.value}.")
    return cell.value


def _kind(value: Any) -> str:
    return {"bool": "truth value", "datetime": "date"}.get(type(value).__name__, "number or date")
