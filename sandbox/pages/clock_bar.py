"""The bar of the sandbox on every page: platform time, moves of the clock, reset, armed faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from portal import layout
from portal.identity import Viewer
from requests_queue.time_format import format_ahead
from sandbox import clock_control
from sandbox.faults import armed, arming
from sandbox.faults.kinds import SIDES
from sandbox.pages import fault_access
from sandbox.pages.move_summary import Summary

_SUMMARY = "clock_summary"  # in the session: of a move that leads to another page


@dataclass(frozen=True, slots=True)
class Button:
    """A move of the clock; `name` is the value that its form sends."""

    name: str
    label: str
    title: str


BUTTONS = (
    Button("advance-5m", "+5 min", "Move the clock forward by 5 minutes"),
    Button("next-attempt", "Next attempt", "Move to the next due attempt and through it"),
    Button("advance-1d", "+1 day", "Move the clock forward by 1 day"),
    Button("run-until-idle", "Until idle", "Move until nothing is pending, at most by 3 days"),
)


@dataclass(frozen=True, slots=True)
class BarState:
    """What the bar shows and polls: the clock, and how many armed faults the viewer may see."""

    now: datetime
    ahead: str
    is_moving: bool
    faults: int

    @property
    def digest(self) -> str:
        """Return a value that changes with what is shown, apart from time that passes."""
        moment = self.now if self.is_moving else None
        return layout.digest(self.ahead, self.is_moving, moment, self.faults)


def read(viewer: Viewer) -> BarState:
    """Return the bar's state; one statement, and two more while faults are armed."""
    clock = clock_control.read()
    seconds = round(clock.offset.total_seconds())
    ahead = format_ahead(seconds) if seconds >= 1 else ""
    return BarState(clock.now, ahead, clock.moving, _armed_faults(viewer))


def load(request: HttpRequest, viewer: Viewer) -> dict[str, Any]:
    """Return the data of the bar, with the summary of a move that has led to this page."""
    kept = request.session.pop(_SUMMARY, None)
    return {"state": read(viewer), "buttons": BUTTONS, "summary": kept and Summary(**kept)}


def keep(request: HttpRequest, summary: Summary) -> None:
    """Keep a summary for the next page of the session."""
    request.session[_SUMMARY] = summary.as_dict()


def _armed_faults(viewer: Viewer) -> int:
    # Without any in this process, it takes no statement.
    if not any(armed.on(side) for side in SIDES):
        return 0
    return sum(arming.is_armed(row) for row, _ in fault_access.visible(viewer))
