"""Limits on the XML elements of a workbook, counted in a stream before openpyxl parses it.

Limits on sizes are not enough: an element takes as little as 5 bytes of a part and up to 2 KiB
of memory.
"""

from __future__ import annotations

import zipfile
from typing import IO
from xml.parsers import expat

from requests_queue.queues.usage_file import limits
from requests_queue.queues.usage_file.limits import Unreadable

# Rows of any sheet, as many as in Excel: openpyxl reads all of them to find the size.
MAX_ROWS = 1_048_576
# Shared strings; elements of styles and of the workbook, which take most; of other parts.
MAX_STRINGS = 500_000
MAX_DESCRIPTIONS = 20_000
MAX_OTHERS = 500_000
# Elements of one row (of at most 16,384 cells), and of one shared string.
MAX_IN_ROW = 4 * 16_384
MAX_IN_STRING = 1000

_PIECE = 64 * 1024
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")


def check(archive: zipfile.ZipFile) -> None:
    """Check all parts by the kind that their root element shows; raises Unreadable."""
    for part in archive.infolist():
        with archive.open(part) as stream:
            try:
                _Part().read(stream)
            except expat.ExpatError:
                # Not XML. openpyxl refuses the workbook where XML is required.
                continue


def _too_complex() -> Unreadable:
    return Unreadable("The workbook is too complex. Copy only its values to a new workbook.")


class _Part:
    """Counts the elements of a part, and the text of the current row or shared string."""

    def __init__(self) -> None:
        self._root = ""
        self._count = self._inside = self._text = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def read(self, stream: IO[bytes]) -> None:
        """Read the part to its end; raises Unreadable or ExpatError."""
        # Bytes since the last "<".
        length = 0
        piece = stream.read(_PIECE)
        if piece.startswith(_UTF_16):
            # Looking for "<" byte by byte does not work in UTF-16.
            raise Unreadable("The workbook is not in UTF-8.")
        while piece:
            at = piece.rfind(b"<")
            length = length + len(piece) if at < 0 else len(piece) - at
            if length > limits.MAX_ROW_TEXT:
                # expat holds a whole tag in memory.
                raise limits.row_too_long("A row of the sheet")
            self._parser.Parse(piece)
            piece = stream.read(_PIECE)
        self._parser.Parse(b"", True)

    def _start(self, name: str, attributes: object) -> None:
        name = name.rpartition(":")[2]
        self._root = self._root or name
        self._inside += 1
        if self._root == "worksheet":
            self._unit(name, "row", MAX_IN_ROW)
            if self._count > MAX_ROWS:
                raise limits.too_many_rows()
        elif self._root == "sst":
            self._unit(name, "si", MAX_IN_STRING)
            if self._count > MAX_STRINGS:
                raise _too_complex()
        else:
            most = MAX_DESCRIPTIONS if self._root in ("styleSheet", "workbook") else MAX_OTHERS
            if self._inside > most:
                raise _too_complex()

    def _unit(self, name: str, unit: str, most: int) -> None:
        """Count the rows or shared strings, and the elements in each."""
        if name == unit:
            self._count += 1
            self._inside = self._text = 0
        elif self._inside > most:
            raise _too_complex()

    def _characters(self, text: str) -> None:
        self._text += len(text)
        if self._text > limits.MAX_ROW_TEXT and self._root in ("worksheet", "sst"):
            raise limits.row_too_long("A row of the sheet")

    def _doctype(self, *declared: object) -> None:
        raise Unreadable("The workbook has a document type declaration, which is not allowed.")
