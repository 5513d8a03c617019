"""A streaming CSV reader: only one row is in memory."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator

from requests_queue.queues.usage_file import limits
from requests_queue.queues.usage_file.limits import Unreadable

_DELIMITERS = ",;\t|"


def rows(content: bytes) -> Iterator[list[str]]:
    """Yield the rows of a CSV; raises Unreadable."""
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
