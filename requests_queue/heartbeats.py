"""Heartbeats: signs of life of processes, recorded every few seconds.

By the database's wall clock: machines' clocks differ, and platform time can be moved.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass

from django.db.models import Case, Count, F, Max, Min, Value, When

from requests_queue.db.sql import DatabaseTime
from requests_queue.models import PROBLEM, Heartbeat

logger = logging.getLogger(__name__)

WORKER, SCHEDULER = "worker", "scheduler"
INTERVAL = 4.0  # seconds between two heartbeats of a process
EXPIRES_AFTER = 20.0  # seconds without a heartbeat after which a process counts as gone
_FORGOTTEN = 3600.0  # seconds after which a row is deleted

# When a heartbeat is next due, by process (monotonic seconds).
_next: dict[str, float] = {}
# The problem that the last heartbeat reported, by process.
_problems: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Summary:
    """The heartbeats of a kind of process.

    `alive` processes; `age` of the last heartbeat in seconds (None: never one); `there_for`:
    seconds since the first live process started.
    """

    alive: int = 0
    age: float | None = None
    there_for: float = 0.0
    # How many live processes report a problem, and the problem of one of them.
    failing: int = 0
    problem: str = ""


def record(kind: str, problem: str = "", *, now: bool = False) -> None:
    """Record a heartbeat if one is due, `problem` has changed, or with `now`; one statement.

    The scheduler's heartbeat is recorded by the worker that runs its task.
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
    # After a restart, a container's process may have the same process id.
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
    """Delete this process's heartbeat on shutdown."""
    Heartbeat.objects.filter(process=_process(kind)).delete()
    _next.pop(_process(kind), None)
    _problems.pop(_process(kind), None)


def _process(kind: str) -> str:
    return kind if kind == SCHEDULER else f"{kind} {socket.gethostname()[:64]}:{os.getpid()}"


def by_kind() -> dict[str, Summary]:
    """Return a summary for each kind of process, by one statement."""
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
            row["alive"],
            max(row["age"], 0.0),
            row["there_for"] or 0.0,
            row["failing"],
            row["named"],
        )
        for row in rows.order_by()
    }


REPEAT = 600.0  # seconds after which a lasting problem is logged again


@dataclass(slots=True)
class _Problem:
    reason: str
    since: float
    logged: float


class Problems:
    """What fails in a process: logged when it begins and ends. Thread-safe."""

    def __init__(self) -> None:
        self._problems: dict[str, _Problem] = {}

    def begin(self, what: str, reason: BaseException | str, *, traceback: bool = False) -> None:
        """Note that `what` fails, and log it unless it has been failing before."""
        now = time.monotonic()
        problem = self._problems.setdefault(what, _Problem("", now, now - REPEAT))
        # Only the type of an error: its text may contain a secret.
        problem.reason = reason if isinstance(reason, str) else type(reason).__name__
        if now - problem.logged >= REPEAT:
            problem.logged = now
            error = reason if traceback and isinstance(reason, BaseException) else None
            logger.error("%s: failing (%s); trying again.", what, problem.reason, exc_info=error)

    def end(self, what: str) -> None:
        """Note that `what` works, and log it if it has been failing."""
        problem = self._problems.pop(what, None)
        if problem is not None:
            seconds = time.monotonic() - problem.since
            logger.warning("%s: working again after %.1f s.", what, seconds)

    def is_failing(self, what: str) -> bool:
        """Whether `what` has been failing."""
        return what in self._problems

    def summary(self) -> str:
        """Return the problems in one line for a page; empty without any."""
        problems = sorted(self._problems.copy().items())
        return "; ".join(f"{what} ({problem.reason})" for what, problem in problems)
