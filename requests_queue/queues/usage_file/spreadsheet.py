"""Reader of uploaded spreadsheets, XLSX or CSV.

Formulas are not evaluated: a cell's value is the one that the workbook stores with the formula.
"""

from __future__ import annotations

import codecs
import csv
import io
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from requests_queue.queues.usage_file import cells, columns, limits, structure
from requests_queue.queues.usage_file.leases import LostClaim
from requests_queue.queues.usage_file.limits import Unreadable

Cells = dict[str, Any]
# Rows between two calls of `renew`.
RENEW_ROWS = 2000
# Rows that are pickled at once.
_BATCH = 100
_DELIMITERS = ",;\t|"


class Rows:
    """(row number, cells by column) pairs in order; may be iterated several times.

    They are in a temporary file, because in memory they take far more than the upload. Unpickling
    is safe: only this process can write the file.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._file = tempfile.SpooledTemporaryFile(max_size=4 * limits.MIB)  # noqa: SIM115
        self._batch: list[tuple[int, list[Any]]] = []
        self._count = 0

    def add(self, number: int, values: list[Any]) -> None:
        """Add a row, its values in the order of the names."""
        self._count += 1
        self._batch.append((number, values))
        if len(self._batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._file.seek(0, 2)
        pickle.dump(self._batch, self._file, pickle.HIGHEST_PROTOCOL)
        self._batch = []

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, Cells]]:
        if self._batch:
            self._flush()
        at = 0
        while True:
            self._file.seek(at)
            try:
                batch = pickle.load(self._file)
            except EOFError:
                return
            at = self._file.tell()
            for number, values in batch:
                yield number, dict(zip(self._names, values, strict=False))


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
    return _table(_csv_rows(content), required, renew)


def _read_workbook(content: bytes, required: Sequence[str], renew: Callable[[], None]) -> Sheet:
    # Takes 5 MiB, in each worker and web server, of which few read a workbook.
    from openpyxl import load_workbook

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


def _csv_rows(content: bytes) -> Iterator[list[str]]:
    """Yield the rows of a CSV, only one of which is in memory; raises Unreadable."""
    stream = io.TextIOWrapper(io.BytesIO(content), _encoding(content), newline="")
    first = stream.readline(limits.MAX_ROW_TEXT)
    delimiter = max(_DELIMITERS, key=first.count)
    stream.seek(0)
    lines = _Lines(stream)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            lines.size = 0
            yield row
    except csv.Error as error:
        raise Unreadable(f"Line {reader.line_num} of the CSV cannot be read ({error}).") from None


class _Lines:
    """The lines of a text; limits each CSV row to MAX_ROW_TEXT characters.

    A row may have several lines, and `csv.reader` holds all of them in memory. The user of the
    reader resets `size` after each row.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._number = 0
        # Characters of the current row so far.
        self.size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(limits.MAX_ROW_TEXT + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self.size += len(line)
        if self.size > limits.MAX_ROW_TEXT:
            raise limits.row_too_long(f"Line {self._number} of the CSV")
        return line


def _encoding(content: bytes) -> str:
    """Return the encoding of a text; raises Unreadable."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        # Spreadsheet programs on Windows write cp1252; Latin-1 decodes any bytes.
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        if _decodes(content, encoding):
            return encoding
    raise Unreadable("The encoding of the text is unknown. Save it as UTF-8.")


def _decodes(content: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(content)
    try:
        for start in range(0, len(content), limits.MIB):
            decoder.decode(bytes(view[start : start + limits.MIB]))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
