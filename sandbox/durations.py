"""Spans of time as people type them: `5m`, `1h30m`, `2d`, `45s`, `90`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FORM = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
LONGEST = timedelta(days=3660)


def parse(text: str) -> timedelta:
    """Return the span; raises ValueError with a sentence."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text += "s"
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text!r} is no span of time; write for example 5m, 1h30m, 2d or 45s.")
    try:
        span = sum(
            (timedelta(**{_UNITS[unit]: float(n)}) for n, unit in _PART.findall(text)), timedelta()
        )
    except OverflowError:
        span = LONGEST * 2
    if not timedelta() < span <= LONGEST:
        raise ValueError("A span of time is longer than nothing and at most ten years.")
    return span
