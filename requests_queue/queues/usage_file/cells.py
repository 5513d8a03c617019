"""Parse one cell of a usage spreadsheet as a number, a date or a text."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from requests_queue.api.moments import parse_moment
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.spreadsheets.workbook_reader import cell_text

_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SCALE = Decimal(1).scaleb(-10)
_LIMIT = 10**15


class CellError(Exception):
    """A cell has an invalid value: the code and the message of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def storable(text: str) -> str:
    """Return a text without the characters that a database or a workbook refuses."""
    return _UNSTORABLE.sub("", text).strip()


def text(value: Any, most: int = 255) -> str:
    """Return a cell as text, a whole number without decimal point; raises CellError."""
    result = cell_text(value).strip()
    if len(result) > min(most, limits.MAX_TEXT):
        raise CellError("USG_004", f"The text is longer than {most} characters.")
    return result


def required(value: Any) -> str:
    """Return a cell as text; raises CellError where it is empty."""
    result = text(value)
    if not result:
        raise CellError("USG_001", "This field is required.")
    return result


def number(value: Any, *, signed: bool = False) -> Decimal | None:
    """Return a number rounded to ten decimals, None for an empty cell; raises CellError.

    Negative numbers are refused unless `signed`.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise CellError("USG_002", "This is not a number.")
    try:
        result = Decimal(str(value).strip())
    except InvalidOperation:
        raise CellError("USG_002", "This is not a number.") from None
    if not result.is_finite() or abs(result) >= _LIMIT:
        raise CellError("USG_002", f"The number must be less than {_LIMIT}.")
    result = result.quantize(_SCALE)
    if result < 0 and not signed:
        raise CellError("USG_003", "The number must not be negative.")
    return result


def decimals(value: Decimal) -> int:
    """Return the number of decimals."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def moment(value: Any) -> datetime:
    """Return a date and time in UTC, of a date or a text `2026-11-01 00:00:00`; raises CellError.

    Microseconds are cut off.
    """
    result = _moment(value)
    if result is None:
        raise CellError(
            "USG_005", "This is not a date. Use the format 2026-11-01 00:00:00, in UTC."
        )
    if not 2000 <= result.year < 2200:
        raise CellError("USG_005", f"The year {result.year} is not between 2000 and 2199.")
    return result.replace(microsecond=0)


def _moment(value: Any) -> datetime | None:
    # A datetime is a date, too.
    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str):
        return None
    with suppress(ValueError):
        return parse_moment(text).astimezone(UTC)
    with suppress(ValueError):
        # The PHP SDK's example has dates like `01-11-2026`.
        return datetime.strptime(text, "%d-%m-%Y").replace(tzinfo=UTC)
    return None


def tier(value: Any) -> int | None:
    """Return a tier, 0 to 2, None for an empty cell; raises CellError."""
    result = number(value)
    if result is None:
        return None
    if result not in (0, 1, 2):
        raise CellError("USG_006", "The tier must be 0, 1 or 2.")
    return int(result)
