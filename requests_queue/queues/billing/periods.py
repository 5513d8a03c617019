"""Arithmetic of billing periods, in calendar months since the activation.

Uses neither the database nor the clock.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

# The units of the API, in months.
MONTHS = {"monthly": 1, "yearly": 12, **{f"years_{n}": 12 * n for n in range(2, 7)}}
_ITEM_MONTHS = MONTHS | {f"{n} years": 12 * n for n in range(2, 7)}


def months_of(item: Mapping[str, Any]) -> int:
    """Return the billing period of an item in months; 0: it is not billed by the period.

    Pay-as-you-go items are billed by usage files.
    """
    if str(item["item_type"]).lower() != "reservation":
        return 0
    return _ITEM_MONTHS.get(str(item["period"]).lower(), 0)


def common_period(items: Iterable[Mapping[str, Any]]) -> str:
    """Return the unit of the longest period that divides those of all items, empty for none."""
    lengths = [length for item in items if (length := months_of(item))]
    divisor = math.gcd(*lengths) if lengths else 0
    return next((uom for uom, length in MONTHS.items() if length == divisor), "")


def add_months(start: datetime, months: int) -> datetime | None:
    """Return the same day and time so many months later, or the last day of a shorter month.

    Returns None beyond the range of dates.
    """
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    if not 1 <= year < 9999:
        return None
    day = min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def months_between(start: datetime, boundary: datetime) -> int:
    """Return the number of months from the start to a boundary."""
    return (boundary.year - start.year) * 12 + boundary.month - start.month


def next_boundary(start: datetime, uom: str, after: datetime) -> datetime | None:
    """Return the first boundary later than `after`; the start is not a boundary."""
    length = MONTHS[uom]
    count = max(months_between(start, after) // length, 1)
    boundary = add_months(start, count * length)
    while boundary is not None and boundary <= after:
        count += 1
        boundary = add_months(start, count * length)
    return boundary
