"""Spans of time in words."""

from __future__ import annotations

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def format_seconds(seconds: float, most: int = 2) -> str:
    """Return a span in its largest units, two or `most`: `1 h 5 min`, `3 s`."""
    rest, said = max(0, round(seconds)), []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            said.append(f"{count} {unit}")
    return " ".join(said[:most]) or "0 s"


def format_milliseconds(duration: int) -> str:
    """Return how long a call took, given in ms: `45 ms`, `1.2 s`."""
    return f"{duration} ms" if duration < 1000 else f"{duration / 1000:.1f} s"
