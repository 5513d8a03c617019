"""Limits of uploaded spreadsheets and other files, and their errors. The numbers are our own.

`workbook_reader` has the limits of what a workbook is made of.
"""

from __future__ import annotations

from rest_framework.request import Request as HttpRequest

from requests_queue.errors import Refused

MIB = 1024 * 1024
MAX_BYTES = 20 * MIB
MAX_ROWS = 50_000
# Without the columns that a processed file adds.
MAX_COLUMNS = 50
MAX_TEXT = 4000
# Characters of one row: more than MAX_COLUMNS full cells.
MAX_ROW_TEXT = MIB

# Bytes of a form beside its file.
_FORM_BYTES = 64 * 1024
_ZIP = b"PK\x03\x04"


class Unreadable(Exception):
    """The spreadsheet as a whole cannot be read; the text says why."""


def row_too_long(what: str) -> Unreadable:
    """Return the error of a row with more than MAX_ROW_TEXT characters."""
    return Unreadable(
        f"{what} is longer than {MAX_ROW_TEXT} characters. A sheet may have {MAX_COLUMNS} "
        f"columns with {MAX_TEXT} characters in each cell."
    )


def too_large(field: str, most: int = MAX_BYTES) -> Refused:
    """Return the error (413) of a file larger than `most` bytes."""
    text = f"{field}: The file is larger than {most // MIB} MiB."
    return Refused("REQ_413", text, status=413)


def check_length(request: HttpRequest, field: str, most: int = MAX_BYTES) -> None:
    """Raise Refused (413) for a form with more than a file, before it is read."""
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not length.isdecimal() or int(length) > most + _FORM_BYTES:
        raise too_large(field, most)


def is_workbook(content: bytes) -> bool:
    """Return whether the content is an XLSX workbook, rather than a CSV."""
    return content.startswith(_ZIP)
