"""Spans and moments as text, in one format for pages, the admin, messages and logs.

And durations that users type: `5m`, `1h30m`, `2d`, `45s`, `90` (seconds), or ISO 8601: `PT5M`,
`P3D`, `P1W`. Imports the standard library only.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_NAMES = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FORM = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])", re.ASCII)
_NUMBER = r"(\d+(?:[.,]\d+)?)"
# A month or a year has no fixed length.
_ISO = re.compile(
    rf"p(?=\d|t\d)(?:{_NUMBER}w)?(?:{_NUMBER}d)?"
    rf"(?:t(?=\d)(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?)?",
    re.ASCII,
)
_ISO_UNITS = ("weeks", "days", "hours", "minutes", "seconds")
LONGEST_SPAN = timedelta(days=3660)


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


def parse_span(text: str) -> timedelta:
    """Return the duration, which may be 0; raises ValueError with a sentence."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        text += "s"
    if iso := _ISO.fullmatch(text):
        parts = [(unit, n) for unit, n in zip(_ISO_UNITS, iso.groups(), strict=True) if n]
    elif _FORM.fullmatch(text):
        parts = [(_NAMES[unit], n) for n, unit in _PART.findall(text)]
    else:
        raise ValueError(
            f"{text[:40]!r} is not a duration. Use, for example, 5m, 1h30m, 2d, 45s or PT5M."
        )
    try:
        duration = sum(
            (timedelta(**{unit: float(n.replace(",", "."))}) for unit, n in parts), timedelta()
        )
    except OverflowError:
        duration = LONGEST_SPAN * 2
    if duration > LONGEST_SPAN:
        raise ValueError("A duration must be at most ten years.")
    return duration
