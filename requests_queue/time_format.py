"""Spans and moments as text, in one format for pages, the admin, messages and logs."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def format_span(seconds: float, units: int = 2) -> str:
    """Return a span in its largest units: `2 h 40 min`, `1.2 s`, `300 ms`."""
    if 0 < seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if round(seconds, 1) < 60 and seconds % 1:
        return f"{max(0.0, round(seconds, 1)):g} s"
    rest, parts = max(0, round(seconds)), []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:units]) or "0 s"


def format_ahead(seconds: float) -> str:
    """Return by how much platform time is ahead.

    From an hour on without the seconds of real time that moves of the clock have taken.
    """
    return format_span(round(seconds / 60) * 60 if seconds >= 3600 else seconds)


def format_duration(milliseconds: int) -> str:
    """Return a duration in milliseconds with its unit: `300 ms`, `1.2 s`."""
    return format_span(milliseconds / 1000) if milliseconds else "0 ms"


def format_moment(at: datetime) -> str:
    """Return a moment as `2026-11-26 01:42:30 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_precise(at: datetime, today: datetime) -> str:
    """Return a moment in UTC, with its date unless that is today.

    It has milliseconds unless it is a whole second, in which queue changes are stored.
    """
    at = at.astimezone(UTC)
    date = "" if at.date() == today.astimezone(UTC).date() else f"{at:%Y-%m-%d} "
    part = f".{at.microsecond // 1000:03d}" if at.microsecond else ""
    return f"{date}{at:%H:%M:%S}{part}"
