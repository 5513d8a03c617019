"""How large an uploaded spreadsheet may be, packed and unpacked; checked before it is parsed.

The numbers are ours. They hold whatever a hostile workbook says of itself: the sizes in a zip
archive's directory are the most that Python reads of its parts.
"""

from __future__ import annotations

import io
import zipfile
import zlib

from requests_queue.errors import Invalid, Refused

MIB = 1024 * 1024
MAX_BYTES = 20 * MIB
MAX_UNPACKED = 100 * MIB
# Any part but a worksheet, shared texts for one, is held in memory as a whole.
MAX_PART = 16 * MIB
MAX_PARTS = 500
MAX_TAGS = 6_000_000
MAX_ROWS = 50_000
# Columns beside those that a processed file adds.
MAX_COLUMNS = 50
MAX_TEXT = 4000
# Characters of one row: all its columns may be full.
MAX_ROW_TEXT = MIB

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"


class Unreadable(Exception):
    """The spreadsheet as a whole is of no use; the text says why."""


def too_many_rows() -> Unreadable:
    """Return the refusal of a sheet with more than MAX_ROWS rows."""
    return Unreadable(f"The sheet has more than {MAX_ROWS} rows: split the file.")


def too_many_columns() -> Unreadable:
    """Return the refusal of a sheet with more than MAX_COLUMNS columns."""
    return Unreadable(f"The sheet has more than {MAX_COLUMNS} columns: leave some out.")


def row_too_long(what: str) -> Unreadable:
    """Return the refusal of a row with more than MAX_ROW_TEXT characters."""
    return Unreadable(
        f"{what} is longer than {MAX_ROW_TEXT} characters: a sheet has {MAX_COLUMNS} columns at "
        f"most, with {MAX_TEXT} characters in each."
    )


def too_large(field: str) -> Refused:
    """Return the 413 of a body beyond MAX_BYTES."""
    text = f"{field}: The file is larger than {MAX_BYTES // MIB} MiB."
    return Refused("REQ_413", text, status=413)


def is_workbook(content: bytes) -> bool:
    """Whether the bytes are an xlsx rather than a csv."""
    return content.startswith(_ZIP)


def check(content: bytes, field: str) -> None:
    """Refuse what is no spreadsheet, or one that unpacks to too much; raises Invalid."""
    if len(content) > MAX_BYTES:
        raise too_large(field)
    if not content:
        raise Invalid(field, "The submitted file is empty.")
    if content.startswith(_OLE):
        raise Invalid(field, "This is an old or an encrypted workbook: save it as plain XLSX.")
    if is_workbook(content):
        _check_workbook(content, field)
    elif b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid(field, "This is neither an XLSX workbook nor a CSV text.")


def _check_workbook(content: bytes, field: str) -> None:
    bomb = Invalid(
        field,
        "The workbook unpacks to more than is taken here, which is enough for "
        f"{MAX_ROWS} rows: split the file.",
    )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                raise Invalid(field, "This is a ZIP archive, but no XLSX workbook.")
            if any(part.flag_bits & 1 for part in parts):
                raise Invalid(field, "The workbook is encrypted.")
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise bomb
            for part in parts:
                sheet = part.filename.startswith("xl/worksheets/")
                if part.file_size > MAX_PART and not sheet:
                    raise bomb
            if _tags(archive, parts) > MAX_TAGS:
                raise bomb
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError):
        raise Invalid(field, "The workbook is damaged.") from None


def _tags(archive: zipfile.ZipFile, parts: list[zipfile.ZipInfo]) -> int:
    """Return how many tags all parts open and close: each costs far more memory than its text."""
    count = 0
    for part in parts:
        with archive.open(part) as stream:
            while piece := stream.read(MIB):
                count += piece.count(b"<")
    return count
