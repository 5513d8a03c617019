"""Reader of uploaded spreadsheets, XLSX or CSV.

Formulas are not evaluated: a cell's value is the one that the workbook stores with the formula.
"""

from __future__ import annotations

import codecs
import csv
import io
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from requests_queue import heap
from requests_queue.catalog.spreadsheets import limits, workbook_reader
from requests_queue.catalog.spreadsheets.limits import Unreadable
from requests_queue.catalog.spreadsheets.workbook_reader import Workbook
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.usage_file import cells, columns

Cells = dict[str, Any]
Batch = list[tuple[int, Cells]]
# Rows between two calls of `renew`.
RENEW_ROWS = 2000
# Categories of a workbook, which are held in memory.
MAX_CATEGORIES = 10_000
# Rows that are in memory at once, and the characters after which there are fewer.
_BATCH, _BATCH_TEXT = 500, 256 * 1024
_DELIMITERS = ",;\t|"
_OLE = b"\xd0\xcf\x11\xe0"

# Seconds that a request waits until it may read a file, and how many may read or wait at once: each
# has a thread of the web server.
MAX_WAIT = 10.0
_REQUESTS = threading.BoundedSemaphore(5)
_TURN = threading.Lock()


# Each thread would keep the blocks of large files.
heap.map_blocks(limits.MIB)


def _busy() -> Refused:
    text = "Other spreadsheets are being read. Try again in a minute."
    return Refused("SYS_503", text, status=503)


@contextmanager
def turn(renew: Callable[[], None] | None = None) -> Iterator[None]:
    """Read one file at a time in this process, because each takes much memory.

    A worker waits for its turn, and calls `renew` meanwhile. A request waits up to MAX_WAIT;
    raises Refused (503).
    """
    with ExitStack() as stack:
        if renew is None:
            if not _REQUESTS.acquire(blocking=False):
                raise _busy()
            stack.callback(_REQUESTS.release)
        while not _TURN.acquire(timeout=MAX_WAIT):
            if renew is None:
                raise _busy()
            renew()
        stack.callback(_TURN.release)
        yield


def check(content: bytes, field: str) -> None:
    """Raise Invalid for a file that is no spreadsheet, or too large uncompressed."""
    if not content:
        raise Invalid(field, "The submitted file is empty.")
    if content.startswith(_OLE):
        raise Invalid(field, "The workbook is encrypted or in an old format. Save it as XLSX.")
    if limits.is_workbook(content):
        try:
            workbook_reader.open_archive(content).close()
        except Unreadable as error:
            raise Invalid(field, str(error)) from None
    elif b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid(field, "The file is neither an XLSX workbook nor a CSV text.")


class Rows:
    """(row number, cells by column) pairs in order; may be iterated several times.

    They are in a temporary file, because in memory they take far more than the upload. Unpickling
    is safe: only this process can write the file.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._file = tempfile.SpooledTemporaryFile(max_size=4 * limits.MIB)  # noqa: SIM115
        self._batch: list[tuple[int, list[Any]]] = []
        self._count = self._length = 0

    def add(self, number: int, values: list[Any]) -> None:
        """Add a row, its values in the order of the names."""
        self._count += 1
        self._batch.append((number, values))
        self._length += sum(len(value) for value in values if isinstance(value, str))
        if len(self._batch) >= _BATCH or self._length > _BATCH_TEXT:
            self._flush()

    def _flush(self) -> None:
        self._file.seek(0, 2)
        pickle.dump(self._batch, self._file, pickle.HIGHEST_PROTOCOL)
        self._batch, self._length = [], 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, Cells]]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in lists, only one of which is in memory."""
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
            yield [(n, dict(zip(self._names, values, strict=False))) for n, values in batch]


@dataclass(slots=True)
class Sheet:
    """The content of a spreadsheet: its rows of records, their columns, and the categories."""

    rows: Rows
    header: list[str]
    categories: frozenset[str] = frozenset()


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
    return _table(enumerate(_csv_rows(content), 1), required, renew)


def _read_workbook(content: bytes, required: Sequence[str], renew: Callable[[], None]) -> Sheet:
    with closing(Workbook(content)) as book:
        titles = {title.strip().lower(): title for title in book.titles}
        title = next((titles[name] for name in columns.SHEETS if name in titles), None)
        if title is None:
            raise Unreadable(f"The workbook has no sheet {' or '.join(columns.SHEETS)}.")
        # One more than the header may have.
        most = limits.MAX_COLUMNS + len(columns.FOUND) + 1
        sheet = _table(book.rows(title, most), required, renew)
        if columns.CATEGORIES in titles:
            rows = book.rows(titles[columns.CATEGORIES], most)
            sheet.categories = _categories(rows, renew)
        return sheet


def _table(
    rows: Iterator[tuple[int, Sequence[Any]]], required: Sequence[str], renew: Callable[[], None]
) -> Sheet:
    number, first = next(rows, (1, ()))
    header = _header(first if number == 1 else ())
    missing = [name for name in required if name not in header]
    if missing:
        raise Unreadable(f"Columns are missing in row 1: {', '.join(missing)}.")
    indexes = [index for index, name in enumerate(header) if name]
    names = [header[index] for index in indexes]
    table = Rows(names)
    for number, row in rows:
        if number % RENEW_ROWS == 0:
            renew()
        if number > limits.MAX_ROWS + 1:
            # Empty rows count too.
            raise Unreadable(f"The sheet has more than {limits.MAX_ROWS} rows. Split the file.")
        values = [_storable(row[index]) if index < len(row) else None for index in indexes]
        if any(value not in (None, "") for value in values):
            table.add(number, values)
    return Sheet(table, names)


def _header(row: Sequence[Any]) -> list[str]:
    names = [str(_storable(value) or "").strip().lower() for value in row]
    while names and not names[-1]:
        names.pop()
    if len(names) > limits.MAX_COLUMNS + len(set(names) & set(columns.FOUND)):
        raise Unreadable(f"The sheet has more than {limits.MAX_COLUMNS} columns. Remove some.")
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise Unreadable(f"Row 1 has the column {repeated[0][:50]} twice.")
    return names


def _storable(value: Any) -> Any:
    """Return a cell's value; texts without forbidden characters, cut to one over the limit."""
    return cells.storable(value[: limits.MAX_TEXT + 1]) if isinstance(value, str) else value


def _categories(
    rows: Iterator[tuple[int, Sequence[Any]]], renew: Callable[[], None]
) -> frozenset[str]:
    """Return the ids of the categories, parsed as in records."""
    table = _table(rows, ("category_id",), renew)
    if len(table.rows) > MAX_CATEGORIES:
        raise Unreadable(f"The sheet {columns.CATEGORIES} has more than {MAX_CATEGORIES} rows.")
    found = set()
    for _, row in table.rows:
        # Ids that are too long match none.
        with suppress(cells.CellError):
            found.add(cells.text(row["category_id"]))
    return frozenset(found - {""})


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
