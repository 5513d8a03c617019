"""The responses of a wait: 200 with the evidence, 408 with what happened instead."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Protocol

from requests_queue import fast_json
from requests_queue.time_format import format_span
from sandbox import api_calls, conditions, present, timeline
from sandbox.conditions import Condition, Present
from sandbox.deferred import Result
from sandbox.timeline import Cursor

SHOWN = 100  # latest entries that a 408 shows
CONSIDERED, EARLIER = 300, 200  # latest entries since the cursor, and before it, for near misses

# Why a wait ended without its condition coming true.
TIMEOUT, WITHIN, IDLE = "timeout", "within", "idle"
IMPOSSIBLE, RESET = "impossible", "reset"
_REASONS = {
    TIMEOUT: "Not true after {} of real time",
    WITHIN: "Not true within {} of platform time",
    IDLE: "Not true, and no more work is left to run",
    IMPOSSIBLE: "It cannot come true any more",
    RESET: "Not true before the sandbox was reset or restored",
}


class Wait(Protocol):
    """What a response tells about a wait."""

    condition: Condition
    since: Cursor
    position: Cursor
    timeout: float
    began: float
    within: timedelta | None
    has_ended: bool


def satisfied(wait: Wait, state: Present, now: datetime) -> Result:
    """Return the 200 of a wait: the entries that made its condition true, and the present."""
    body = {
        "now": timeline.format_time(now),
        "cursor": str(wait.position),
        "waited": _waited(wait),
        "evidence": wait.condition.evidence(),
        "present": present.represent(state),
    }
    return _json(200, body)


def unsatisfied(wait: Wait, state: Present, now: datetime, reason: str) -> Result:
    """Return the 408 of a wait: what happened instead, and what nearly made it true."""
    api_calls.flush()
    rows = timeline.between(wait.since, max(wait.position, timeline.now()))
    count = rows.count()
    latest = [timeline.represent(row) for row in rows.reverse()[:CONSIDERED]][::-1]
    early = [timeline.represent(row) for row in timeline.before(wait.since, EARLIER)]
    unmet = wait.condition.unmet(state, ended=wait.has_ended)
    misses = conditions.nearest(wait.condition, latest, early, state)
    shown = latest[-SHOWN:]
    body = {
        "error_code": "WAIT_001",
        "errors": [f"{_REASONS[reason].format(_span(wait, reason))}: {'; '.join(unmet)}."],
        "stopped_because": reason,
        "now": timeline.format_time(now),
        "cursor": str(wait.position),
        "waited": _waited(wait),
        "waiting_for": unmet,
        "near_misses": [miss.represent() for miss in misses],
        "present": present.represent(state),
        "unsettled": present.unsettled(now),
        "timeline": shown,
        "timeline_left_out": count - len(shown),
    }
    return _json(408, body)


def _span(wait: Wait, reason: str) -> str:
    if reason == WITHIN and wait.within is not None:
        return format_span(wait.within.total_seconds())
    return format_span(wait.timeout)


def _waited(wait: Wait) -> float:
    return round(time.monotonic() - wait.began, 3)


def _json(status: int, body: dict[str, Any]) -> Result:
    return Result(status, "application/json", fast_json.encode(body))
