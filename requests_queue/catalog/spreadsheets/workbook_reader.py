"""Streaming reader of XLSX workbooks from outside, with bounded memory and CPU time.

openpyxl writes our workbooks, but reads none that somebody sends: it keeps elements in trees, and
which ones depends on the role in which it reads a part (a worksheet as the shared strings, for
instance), so that no check in advance bounds its memory. This reader keeps the shared strings, and
of everything else one row.
"""

from __future__ import annotations

import io
import posixpath
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from xml.parsers import expat

from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.spreadsheets.limits import MIB, Unreadable

# Limits of a workbook. What is read again counts again.
MAX_PARTS = 500
MAX_UNPACKED = 100 * MIB
MAX_ELEMENTS = 3_000_000
# Memory of the texts that are kept.
MAX_TEXTS = 40 * MIB
# Limits of a part: sheets, relationships, number formats and styles; open elements; different
# names of elements and attributes, and bytes of a tag or comment, which expat keeps in memory.
MAX_DESCRIPTIONS = 20_000
MAX_DEPTH = 64
MAX_NAMES = 2000
MAX_TOKEN = 512 * 1024

_PIECE = 16 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Excel's limit. openpyxl's regular expressions take quadratic time for longer ones.
_MAX_FORMAT = 255

# Elements that are read, by their paths. Others are skipped, with all inside.
_SHEET, _SETTINGS = "/workbook/sheets/sheet", "/workbook/workbookPr"
_RELATIONSHIP = "/Relationships/Relationship"
_FORMAT, _STYLE = "/styleSheet/numFmts/numFmt", "/styleSheet/cellXfs/xf"
_STRING, _ROW = "/sst/si", "/worksheet/sheetData/row"
_CELL, _FORMULA = f"{_ROW}/c", f"{_ROW}/c/f"
_TEXTS = frozenset(
    [f"{_STRING}/t", f"{_STRING}/r/t", f"{_CELL}/v", f"{_CELL}/is/t", f"{_CELL}/is/r/t"]
)
_PATHS = frozenset(
    path.rsplit("/", up)[0]
    for path in (_SHEET, _SETTINGS, _RELATIONSHIP, _FORMAT, _STYLE, _FORMULA, *_TEXTS)
    for up in range(path.count("/"))
)
_SKIPPED = "?"

Attributes = dict[str, str]

# Returned in place of the value of a cell that has a formula.
FORMULA = object()


class ErrorValue(str):
    """The value of a cell that is an error of the spreadsheet, such as `#N/A`."""


class Workbook:
    """The sheets of a workbook; `titles` are their names in order."""

    def __init__(self, content: bytes, *, keeps_texts: bool = False) -> None:
        """Open a workbook and read its shared strings; raises Unreadable.

        With `keeps_texts`, the texts of its rows count as shared strings: the caller keeps them.
        """
        self._archive = open_archive(content)
        self._keeps_texts = keeps_texts
        self._elements = self._bytes = self._texts = 0
        self._strings: list[str] = []
        # By style, whether a number is a duration rather than a date.
        self._dates: dict[int, bool] = {}
        with _readable():
            ids, self._is_1904 = self._read_sheets()
            parts = self._read_parts()
        names = set(self._archive.namelist())
        self._parts = {title: parts[key] for title, key in ids.items() if parts.get(key) in names}
        self.titles = list(self._parts)

    def close(self) -> None:
        """Release the memory of the archive."""
        self._archive.close()

    def rows(
        self, title: str, columns: int, *, formulas: bool = False
    ) -> Iterator[tuple[int, list[Any]]]:
        """Yield the number and the first values of each row of a sheet; raises Unreadable.

        Rows and cells that are missing in the file are not yielded. The value of a cell with a
        formula is the stored one, or FORMULA.
        """
        number = column = 0
        values: list[Any] = []
        texts: list[str] = []
        has_formula = False
        with _readable():
            for path, attributes, text in self._read(self._parts[title]):
                if path in _TEXTS:
                    texts.append(text)
                elif path == _FORMULA:
                    has_formula = formulas
                elif path == _CELL:
                    place = attributes.get("r", "")
                    column = _column(place.rstrip("0123456789")) if place else column + 1
                    if column <= columns:
                        values += [None] * (column - len(values))
                        value = FORMULA if has_formula else self._value(attributes, texts)
                        values[column - 1] = value
                    texts, has_formula = [], False
                elif path == _ROW:
                    before, number = number, int(attributes.get("r", number + 1))
                    if number <= before:
                        raise Unreadable(f"Row {number} of the sheet comes after row {before}.")
                    yield number, values
                    values, column = [], 0

    def _value(self, attributes: Attributes, texts: list[str]) -> Any:
        from openpyxl.utils import datetime as dates

        text, kind = "".join(texts), attributes.get("t", "n")
        if not text:
            return None
        if kind == "s":
            return self._strings[int(text)]
        if kind == "b":
            return bool(int(text))
        if kind == "e":
            return ErrorValue(text)
        if kind == "d":
            return dates.from_ISO8601(text)  # type: ignore[no-untyped-call]
        if kind != "n":
            return self._counted(text) if self._keeps_texts else text
        try:
            number: int | float = int(text)
        except ValueError:
            number = float(text)
        style = int(attributes.get("s", 0))
        if style not in self._dates:
            return number
        epoch = dates.MAC_EPOCH if self._is_1904 else dates.WINDOWS_EPOCH
        try:
            return dates.from_excel(number, epoch, timedelta=self._dates[style])
        except (OverflowError, ValueError):
            return ErrorValue("#VALUE!")

    def _read_sheets(self) -> tuple[dict[str, str], bool]:
        """Return the relationships of the sheets by title, and whether dates begin in 1904."""
        ids: dict[str, str] = {}
        is_1904 = False
        for path, attributes in self._descriptions("xl/workbook.xml"):
            if path == _SETTINGS:
                is_1904 = attributes.get("date1904") in ("1", "true")
            elif path == _SHEET:
                key = next(name for name in attributes if name.endswith(":id"))
                ids[attributes["name"]] = attributes[key]
        return ids, is_1904

    def _read_parts(self) -> dict[str, str]:
        """Return the parts of sheets by relationship, and read the strings and styles."""
        sheets, others = {}, {}
        for path, attributes in self._descriptions("xl/_rels/workbook.xml.rels"):
            if path == _RELATIONSHIP:
                kind = attributes["Type"].rpartition("/")[2]
                part = posixpath.normpath(posixpath.join("/xl", attributes["Target"]))[1:]
                if kind == "worksheet":
                    sheets[attributes["Id"]] = part
                else:
                    others[kind] = part
        if "sharedStrings" in others:
            self._read_strings(others["sharedStrings"])
        if "styles" in others:
            self._read_styles(others["styles"])
        return sheets

    def _read_strings(self, part: str) -> None:
        texts: list[str] = []
        for path, _, text in self._read(part):
            if path in _TEXTS and text:
                texts.append(text)
            elif path == _STRING:
                # As openpyxl reads and writes it: an escaped "_".
                self._strings.append(self._counted("".join(texts).replace("x005F_", "")))
                texts = []

    def _counted(self, text: str) -> str:
        """Return a text that is kept; raises Unreadable if there are too many."""
        # With the pointer to it.
        self._texts += sys.getsizeof(text) + 8
        if self._texts > MAX_TEXTS:
            raise _too_complex()
        return text

    def _read_styles(self, part: str) -> None:
        from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

        codes = dict(BUILTIN_FORMATS)
        used: list[int] = []
        for path, attributes in self._descriptions(part):
            if path == _FORMAT:
                codes[int(attributes["numFmtId"])] = attributes["formatCode"][:_MAX_FORMAT]
            elif path == _STYLE:
                used.append(int(attributes.get("numFmtId", 0)))
        dates = {n: is_timedelta_format(code) for n, code in codes.items() if is_date_format(code)}
        self._dates = {style: dates[n] for style, n in enumerate(used) if n in dates}

    def _descriptions(self, part: str) -> Iterator[tuple[str, Attributes]]:
        """Yield the path and attributes of the elements of a small part."""
        size = 0
        for count, (path, attributes, _) in enumerate(self._read(part), 1):
            size += sum(map(len, attributes.values()))
            if count > MAX_DESCRIPTIONS or size > limits.MAX_ROW_TEXT:
                raise _too_complex()
            yield path, attributes

    def _read(self, name: str) -> Iterator[tuple[str, Attributes, str]]:
        """Yield path, attributes and text of each element of a part at its end."""
        names: dict[str, Any] = {}
        parser = expat.ParserCreate(None, None, names)
        part = _Part(parser)
        size = 0
        with self._archive.open(name) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                self._bytes += len(piece)
                parser.Parse(piece)
                self._elements += part.count
                if (
                    len(names) > MAX_NAMES
                    or size - parser.CurrentByteIndex > MAX_TOKEN
                    or self._elements > MAX_ELEMENTS
                    or self._bytes > MAX_UNPACKED
                ):
                    raise _too_complex()
                yield from part.take()
        parser.Parse(b"", True)
        yield from part.take()


class _Part:
    """The elements of a part that have ended since the last call of `take`."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        # Of all elements that have begun since then.
        self.count = 0
        self._ended: list[tuple[str, Attributes, str]] = []
        self._open: list[tuple[str, Attributes]] = [("", {})]
        self._text: list[str] = []
        # Characters of the current row or shared string.
        self._length = 0
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = _refuse_doctype

    def take(self) -> list[tuple[str, Attributes, str]]:
        ended, self._ended, self.count = self._ended, [], 0
        return ended

    def _start(self, name: str, attributes: Attributes) -> None:
        self.count += 1
        if len(self._open) > MAX_DEPTH:
            raise _too_complex()
        path = f"{self._open[-1][0]}/{name.rpartition(':')[2]}"
        self._open.append((path, attributes) if path in _PATHS else (_SKIPPED, {}))
        self._text = []

    def _end(self, name: str) -> None:
        path, attributes = self._open.pop()
        if path != _SKIPPED:
            self._ended.append((path, attributes, "".join(self._text)))
        self._text = []
        if path in (_ROW, _STRING):
            self._length = 0

    def _characters(self, text: str) -> None:
        if self._open[-1][0] in _TEXTS:
            self._text.append(text)
            self._length += len(text)
            if self._length > limits.MAX_ROW_TEXT:
                raise limits.row_too_long("A row of the sheet")


def cell_text(value: Any) -> str:
    """Return a cell as text: a whole number without decimal point, no value as empty."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


@lru_cache(maxsize=1024)
def _column(letters: str) -> int:
    from openpyxl.utils import column_index_from_string

    number: int = column_index_from_string(letters)
    return number


@lru_cache(maxsize=1024)
def column_letters(number: int) -> str:
    """Return the letters of a column; the first one is 1."""
    from openpyxl.utils import get_column_letter

    letters: str = get_column_letter(number)
    return letters


def open_archive(content: bytes) -> zipfile.ZipFile:
    """Return the archive of a workbook whose parts are within the limits; raises Unreadable."""
    large = Unreadable(
        f"The uncompressed workbook is too large. The limit is enough for {limits.MAX_ROWS} rows. "
        "Split the file."
    )
    # Entries of the archive's directory, which zipfile reads as a whole.
    if content.count(b"PK\x01\x02") > MAX_PARTS:
        raise large
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:
        raise Unreadable("The workbook is damaged.") from error
    parts = archive.infolist()
    if "xl/workbook.xml" not in archive.namelist():
        raise Unreadable("The file is a ZIP archive, but not an XLSX workbook.")
    if any(part.flag_bits & 1 for part in parts):
        raise Unreadable("The workbook is encrypted.")
    # zipfile unpacks other methods without a limit.
    if any(part.compress_type not in _METHODS for part in parts):
        raise Unreadable("The workbook has an unusual compression. Save it again.")
    # zipfile never unpacks more of a part than the size in the directory.
    if sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise large
    return archive


@contextmanager
def _readable() -> Iterator[None]:
    """Raise Unreadable for what damaged workbooks raise: ExpatError, KeyError and others."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            # An error of the system, as a full disk: processing may be retried.
            raise
        raise Unreadable(f"The workbook cannot be read ({type(error).__name__}).") from error


def _too_complex() -> Unreadable:
    return Unreadable("The workbook is too complex. Copy only its values to a new workbook.")


def _refuse_doctype(*declared: object) -> None:
    raise Unreadable("The workbook has a document type declaration, which is not allowed.")
