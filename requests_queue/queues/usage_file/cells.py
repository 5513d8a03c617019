"""One cell of a usage spreadsheet becomes a number, a moment, or a text; or says what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime

from requests_queue.queues.usage_file import limits

_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SCALE = Decimal(1).scaleb(-10)
_MOST = Decimal(10) ** 15


class Wrong(Exception):
    """A cell's value is of no use: `code`, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def plain(text: str) -> str:
    """Return a text without the characters that no database or sheet takes."""
    return _UNSTORABLE.sub("", text).strip()


def text(value: Any, most: int = 255) -> str:
    """Return a cell as text, a whole number without its point; raises Wrong."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    found = str(value).strip()
    if len(found) > min(most, limits.MAX_TEXT):
        raise Wrong("USG_004", f"The text is longer than {most} characters.")
    return found


def required(value: Any) -> str:
    """Return a text that isn't empty; raises Wrong."""
    found = text(value)
    if not found:
        raise Wrong("USG_001", "This field is required.")
    return found


def number(value: Any, *, signed: bool = False) -> Decimal | None:
    """Return a number of ten decimals at most, None for an empty cell; raises Wrong.

    A negative one only where `signed` lets it be.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise Wrong("USG_002", "This is not a number.")
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise Wrong("USG_002", "This is not a number.") from None
    if not found.is_finite() or abs(found) >= _MOST:
        raise Wrong("USG_002", "This is not a number that can be billed.")
    found = found.quantize(_SCALE)
    if found < 0 and not signed:
        raise Wrong("USG_003", "This number can't be negative.")
    return found


def decimals(value: Decimal) -> int:
    """Return how many decimals a number has."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def moment(value: Any) -> datetime:
    """Return a moment in UTC, of a date cell or a text `2026-11-01 00:00:00`; raises Wrong."""
    found = _moment(value)
    if found is None:
        raise Wrong("USG_005", "This is not a date: write 2026-11-01 00:00:00, in UTC.")
    if not 2000 <= found.year < 2200:
        raise Wrong("USG_005", f"The year {found.year} can't be billed.")
    return found.replace(microsecond=0)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, str):
        return None
    try:
        found = parse_datetime(value)
        if found is not None:
            return _in_utc(found)
        day = parse_date(value)
        # The PHP SDK's example writes `01-11-2026`.
        return _in_utc(datetime.strptime(value, "%d-%m-%Y")) if day is None else _moment(day)
    except (ValueError, OverflowError):
        return None


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def tier(value: Any) -> int | None:
    """Return a tier, 0 to 2, None for an empty cell; raises Wrong."""
    found = number(value)
    if found is None:
        return None
    if found not in (0, 1, 2):
        raise Wrong("USG_006", "A tier is 0, 1 or 2.")
    return int(found)
