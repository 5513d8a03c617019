"""Durations as text: `5m`, `1h30m`, `2d`, `45s`, `90` (seconds)."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FORM = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
LONGEST = timedelta(days=3660)


def parse(text: str) -> timedelta:
    """Return the duration; raises ValueError with a sentence."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text += "s"
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration. Use, for example, 5m, 1h30m, 2d or 45s.")
    try:
        duration = sum(
            (timedelta(**{_UNITS[unit]: float(n)}) for n, unit in _PART.findall(text)), timedelta()
        )
    except OverflowError:
        duration = LONGEST * 2
    if not timedelta() < duration <= LONGEST:
        raise ValueError("A duration must be greater than 0 and at most ten years.")
    return duration
