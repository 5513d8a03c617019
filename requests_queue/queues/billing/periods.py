"""Billing periods as arithmetic: how long an item's is, and where the boundaries of one lie.

Knows neither database nor clock; months are calendar months from the activation on.
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
    """Return after how many months an item is billed again; 0: it isn't.

    Pay-per-use items are billed by usage files.
    """
    if str(item["item_type"]).lower() != "reservation":
        return 0
    return _ITEM_MONTHS.get(str(item["period"]).lower(), 0)


def common(items: Iterable[Mapping[str, Any]]) -> str:
    """Return the unit of the longest period whose boundaries are those of all items, or ``."""
    months = [found for item in items if (found := months_of(item))]
    shared = math.gcd(*months) if months else 0
    return next((uom for uom, length in MONTHS.items() if length == shared), "")


def add(start: datetime, months: int) -> datetime | None:
    """Return the same day and time so many months later; a month's last day where it is short.

    None beyond what a date can be.
    """
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    if not 1 <= year < 9999:
        return None
    day = min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def between(start: datetime, boundary: datetime) -> int:
    """Return how many months after the start a boundary lies."""
    return (boundary.year - start.year) * 12 + boundary.month - start.month


def following(start: datetime, uom: str, after: datetime) -> datetime | None:
    """Return the first boundary later than `after`; the start itself is none."""
    length = MONTHS[uom]
    count = max(between(start, after) // length, 1)
    boundary = add(start, count * length)
    while boundary is not None and boundary <= after:
        count += 1
        boundary = add(start, count * length)
    return boundary
