"""Stacked bars and axes of the portal's charts, in units of an SVG of height 100."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEIGHT = 100.0
_MIN_HEIGHT = 2.0  # a single one stays visible beside a thousand
_GAP = 0.12  # on both sides of a bar, whose place is 1 wide


def stack(n: int, counts: Mapping[str, int], top: int) -> list[dict[str, Any]]:
    """Return the segments of the bar at place `n`, from the bottom; at least one count is set.

    A segment has an outcome, x, y, a width and a height.
    """
    heights = {
        outcome: max(count / top * HEIGHT, _MIN_HEIGHT)
        for outcome, count in counts.items()
        if count
    }
    # The highest segment makes room for the minimum heights of the others.
    highest = max(heights, key=lambda outcome: heights[outcome])
    heights[highest] -= max(0.0, sum(heights.values()) - HEIGHT)
    segments = []
    y = HEIGHT
    for outcome, height in heights.items():
        y -= height
        box = {"x": n + _GAP, "y": round(y, 2), "width": 1 - 2 * _GAP, "height": round(height, 2)}
        segments.append({"outcome": outcome, **box})
    return segments


def axis_top(highest: int) -> int:
    """Return the next round number for the axis: 4, 10, 20, 50, 100, and so on."""
    if highest <= 4:
        return 4
    size = int(10 ** (len(str(highest)) - 1))
    return next(step * size for step in (1, 2, 5, 10) if highest <= step * size)
