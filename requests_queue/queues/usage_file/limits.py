"""Size limits of uploaded spreadsheets, compressed and uncompressed, checked before parsing.

The numbers are our own. They protect against hostile workbooks too: Python never reads more of
a part of a ZIP archive than the size in the archive's directory.
"""

from __future__ import annotations

import io
import zipfile
import zlib

from requests_queue.errors import Invalid, Refused

MIB = 1024 * 1024
MAX_BYTES = 20 * MIB
MAX_UNPACKED = 100 * MIB
# Parts other than worksheets (shared strings, for example) are held in memory whole.
MAX_PART = 16 * MIB
MAX_PARTS = 500
MAX_TAGS = 6_000_000
MAX_ROWS = 50_000
# Without the columns that a processed file adds.
MAX_COLUMNS = 50
MAX_TEXT = 4000
# Characters of one row: more than MAX_COLUMNS full cells.
MAX_ROW_TEXT = MIB

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"


class Unreadable(Exception):
    """The spreadsheet as a whole cannot be read; the text says why."""


def too_many_rows() -> Unreadable:
    """Return the error of a sheet with more than MAX_ROWS rows."""
    return Unreadable(f"The sheet has more than {MAX_ROWS} rows. Split the file.")


def too_many_columns() -> Unreadable:
    """Return the error of a sheet with more than MAX_COLUMNS columns."""
    return Unreadable(f"The sheet has more than {MAX_COLUMNS} columns. Remove some.")


def row_too_long(what: str) -> Unreadable:
    """Return the error of a row with more than MAX_ROW_TEXT characters."""
    return Unreadable(
        f"{what} is longer than {MAX_ROW_TEXT} characters. A sheet may have {MAX_COLUMNS} "
        f"columns with {MAX_TEXT} characters in each cell."
    )


def too_large(field: str) -> Refused:
    """Return the error (413) of a file larger than MAX_BYTES."""
    text = f"{field}: The file is larger than {MAX_BYTES // MIB} MiB."
    return Refused("REQ_413", text, status=413)


def is_workbook(content: bytes) -> bool:
    """Return whether the content is an XLSX workbook, rather than a CSV."""
    return content.startswith(_ZIP)


def check(content: bytes, field: str) -> None:
    """Raise Invalid for a file that is not a spreadsheet, or too large when uncompressed."""
    if len(content) > MAX_BYTES:
        raise too_large(field)
    if not content:
        raise Invalid(field, "The submitted file is empty.")
    if content.startswith(_OLE):
        raise Invalid(field, "The workbook is encrypted or in an old format. Save it as XLSX.")
    if is_workbook(content):
        _check_workbook(content, field)
    elif b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid(field, "The file is neither an XLSX workbook nor a CSV text.")


def _check_workbook(content: bytes, field: str) -> None:
    # A ZIP bomb.
    bomb = Invalid(
        field,
        "The uncompressed workbook is too large. The limit is enough for "
        f"{MAX_ROWS} rows. Split the file.",
    )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                raise Invalid(field, "The file is a ZIP archive, but not an XLSX workbook.")
            if any(part.flag_bits & 1 for part in parts):
                raise Invalid(field, "The workbook is encrypted.")
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise bomb
            for part in parts:
                is_sheet = part.filename.startswith("xl/worksheets/")
                if part.file_size > MAX_PART and not is_sheet:
                    raise bomb
            if _count_tags(archive, parts) > MAX_TAGS:
                raise bomb
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError):
        raise Invalid(field, "The workbook is damaged.") from None


def _count_tags(archive: zipfile.ZipFile, parts: list[zipfile.ZipInfo]) -> int:
    """Return the number of XML tags in all parts: a tag takes far more memory than its text."""
    count = 0
    for part in parts:
        with archive.open(part) as stream:
            while piece := stream.read(MIB):
                count += piece.count(b"<")
    return count
