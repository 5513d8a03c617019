"""Durations as text: `5m`, `1h30m`, `2d`, `45s`, `90` (seconds), or ISO 8601: `PT5M`, `P3D`, `P1W`.

Imports the standard library only: commands that talk to a running sandbox use it too.
"""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
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
LONGEST = timedelta(days=3660)


def parse(text: str) -> timedelta:
    """Return the duration, which may be 0; raises ValueError with a sentence."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        text += "s"
    if iso := _ISO.fullmatch(text):
        parts = [(unit, n) for unit, n in zip(_ISO_UNITS, iso.groups(), strict=True) if n]
    elif _FORM.fullmatch(text):
        parts = [(_UNITS[unit], n) for n, unit in _PART.findall(text)]
    else:
        raise ValueError(
            f"{text[:40]!r} is not a duration. Use, for example, 5m, 1h30m, 2d, 45s or PT5M."
        )
    try:
        duration = sum(
            (timedelta(**{unit: float(n.replace(",", "."))}) for unit, n in parts), timedelta()
        )
    except OverflowError:
        duration = LONGEST * 2
    if duration > LONGEST:
        raise ValueError("A duration must be at most ten years.")
    return duration
