"""Stacked bars and axes of the portal's charts, in units of an SVG of height 100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

HEIGHT = 100.0
_MIN_HEIGHT = 2.0  # a single one stays visible beside a thousand
_GAP, _WIDTH = 0.12, 0.76  # of a bar, whose place is 1 wide; the gap is on both sides


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that shows one outcome."""

    outcome: str
    x: float
    y: float
    height: float

    @property
    def html(self) -> str:
        """The segment as a rectangle of an SVG."""
        return (
            f'<rect class="bar-{self.outcome}" x="{self.x}" y="{self.y}" width="{_WIDTH}" '
            f'height="{self.height}"/>'
        )


def stack(n: int, counts: Mapping[str, int], top: int) -> list[Segment]:
    """Return the segments of the bar at place `n`, from the bottom; at least one count is set."""
    heights = {
        outcome: max(count / top * HEIGHT, _MIN_HEIGHT)
        for outcome, count in counts.items()
        if count
    }
    # The highest segment makes room for the minimum heights of the others.
    highest = max(heights, key=lambda outcome: heights[outcome])
    heights[highest] -= max(0.0, sum(heights.values()) - HEIGHT)
    segments: list[Segment] = []
    y = HEIGHT
    for outcome, height in heights.items():
        y -= height
        segments.append(Segment(outcome, n + _GAP, round(y, 2), round(height, 2)))
    return segments


def draw(segments: Sequence[Segment]) -> SafeString:
    """Return the segments of a bar as HTML, since a template takes longer for sixty bars."""
    return SafeString("".join(segment.html for segment in segments))


def axis_top(highest: int) -> int:
    """Return the next round number for the axis: 4, 10, 20, 50, 100, and so on."""
    if highest <= 4:
        return 4
    size = int(10 ** (len(str(highest)) - 1))
    return next(step * size for step in (1, 2, 5, 10) if highest <= step * size)
