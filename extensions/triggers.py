"""The triggers of schedules: when they are due. Knows no Django."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from requests_queue.errors import Invalid

ONETIME, RECURRING = "onetime", "recurring"
UNITS = ("hours", "days", "weeks", "months")


def parse(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trigger, checked; raises Invalid."""
    kind = trigger.get("type")
    if kind == ONETIME:
        return {"type": kind, "date": _moment(trigger, "date").isoformat()}
    if kind != RECURRING:
        raise Invalid("trigger.type", "Only onetime and recurring are served.")
    unit, amount = trigger.get("unit"), trigger.get("amount", 1)
    if unit not in UNITS:
        raise Invalid("trigger.unit", f"Use one of {', '.join(UNITS)}.")
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= 32767:
        raise Invalid("trigger.amount", "A whole number from 1 to 32767 is required.")
    parsed = {"type": kind, "start": _moment(trigger, "start").isoformat(), "unit": unit}
    parsed["amount"] = amount
    if trigger.get("end") is not None:
        parsed["end"] = _moment(trigger, "end").isoformat()
    return parsed


def _moment(trigger: Mapping[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(trigger.get(name)))
    except ValueError:
        raise Invalid(f"trigger.{name}", "A date and time is required, in ISO 8601.") from None
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise Invalid(f"trigger.{name}", "The years are 1 to 9999.") from None
    return moment.replace(microsecond=0)


def next_time(trigger: Mapping[str, Any], after: datetime | None) -> datetime | None:
    """Return the first moment of a checked trigger after another one (None: the very first)."""
    if trigger["type"] == ONETIME:
        at = datetime.fromisoformat(trigger["date"])
        return at if after is None or at > after else None
    start, unit, amount = (
        datetime.fromisoformat(trigger["start"]),
        trigger["unit"],
        trigger["amount"],
    )
    at = start
    if after is not None and after >= start:
        try:
            at = _following(start, unit, amount, after)
        except (OverflowError, ValueError):
            # After the year 9999.
            return None
    end = trigger.get("end")
    return None if end is not None and at > datetime.fromisoformat(end) else at


def _following(start: datetime, unit: str, amount: int, after: datetime) -> datetime:
    if unit != "months":
        step = timedelta(**{unit: amount})
        return start + step * ((after - start) // step + 1)
    months = (after.year - start.year) * 12 + after.month - start.month
    count = max(0, months // amount)
    while (at := _add_months(start, count * amount)) <= after:
        count += 1
    return at


def _add_months(start: datetime, months: int) -> datetime:
    """Return the same day of a later month, or its last one."""
    year, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month + 1
    return start.replace(
        year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1])
    )
