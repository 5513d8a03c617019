"""Signs of life: what runs by itself leaves one every few seconds, for whoever wonders if it does.

By the database's wall clock: machines disagree, and a sandbox's own time is moved.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

from django.db.models import Case, Count, F, Max, Min, Value, When

from requests_queue.database_time import DatabaseTime
from requests_queue.models import PROBLEM, Heartbeat

WORKER, SCHEDULER = "worker", "scheduler"
INTERVAL = 4.0  # seconds between two signs of a process
EXPIRES_AFTER = 20.0  # seconds without one after which it counts as gone
_FORGOTTEN = 3600.0  # seconds after which a row goes

# When a sign is next due, by process, on this machine's monotonic clock.
_next: dict[str, float] = {}
# The problem that its last sign named.
_problems: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Summary:
    """What has been heard of a kind: how many live, how old the last sign is (None: there never
    was one), and for how many seconds the first of those that live has been there."""

    alive: int = 0
    age: float | None = None
    there_for: float = 0.0
    # How many of those that live have a problem, and what it is with one of them.
    failing: int = 0
    problem: str = ""


def record(kind: str, problem: str = "", *, now: bool = False) -> None:
    """Leave a sign of this process, one statement, if one is due or its `problem` has changed.

    With `now` it is due in any case.
    There is one scheduler, whose signs come with what it sends, by way of any worker.
    """
    process = _process(kind)
    due = _next.get(process)
    problem = problem[:PROBLEM]
    is_same = _problems.get(process, "") == problem
    if due is not None and is_same and not now and time.monotonic() < due:
        return
    if due is None:
        Heartbeat.objects.filter(at__lt=DatabaseTime() - _FORGOTTEN).delete()
    row = Heartbeat(
        process=process, kind=kind, since=DatabaseTime(), at=DatabaseTime(), problem=problem
    )
    # After a restart a container's process has the number that the one before had.
    fresh = ["since"] if due is None else []
    Heartbeat.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["process"],
        update_fields=["at", "problem", *fresh],
    )
    _next[process] = time.monotonic() + INTERVAL
    _problems[process] = problem


def delete(kind: str) -> None:
    """Take back the sign of this process, which stops: it is not to be believed alive any more."""
    Heartbeat.objects.filter(process=_process(kind)).delete()
    _next.pop(_process(kind), None)
    _problems.pop(_process(kind), None)


def _process(kind: str) -> str:
    return kind if kind == SCHEDULER else f"{kind} {socket.gethostname()[:64]}:{os.getpid()}"


def by_kind() -> dict[str, Summary]:
    """Return what has been heard of each kind that ever left a sign, by one statement."""
    now = DatabaseTime()
    lives = {"at__gte": now - EXPIRES_AFTER}
    rows = Heartbeat.objects.values("kind").annotate(
        alive=Count(Case(When(**lives, then=F("process")))),
        age=now - Max("at"),
        there_for=now - Min(Case(When(**lives, then=F("since")))),
        failing=Count(Case(When(**lives, problem__gt="", then=F("process")))),
        named=Max(Case(When(**lives, then=F("problem")), default=Value(""))),
    )
    return {
        row["kind"]: Summary(
            row["alive"], max(row["age"], 0.0), row["there_for"] or 0.0,
            row["failing"], row["named"],
        )
        for row in rows.order_by()
    }  # fmt: skip
