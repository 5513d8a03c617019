"""Scheduled jobs: each runs in isolation, and a failure is recorded until the job succeeds.

A job is a receiver of `due_reached`, `collect_next_due`, `collect_next_work` or `collect_busy`.
What a failed job has committed is kept; the job runs again at the next turn.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F

from requests_queue import clock
from requests_queue.db import database_errors
from requests_queue.models import FailedJob
from requests_queue.signals import (
    JobSignal,
    collect_busy,
    collect_next_due,
    collect_next_work,
    due_reached,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

QUIET = 4.0  # seconds in which the same failure is not logged and counted again

# When this process last logged a failure, by job and type of the error (monotonic).
_logged: dict[tuple[str, str], float] = {}


def run_due_jobs(now: datetime) -> list[str]:
    """Run every job; return the names of those that failed."""
    _, failed = _ask(due_reached, now)
    return failed


def next_due(now: datetime) -> datetime | None:
    """Return the next moment of what recurs or is planned, or None."""
    return _first(collect_next_due, now)


def next_work(now: datetime) -> datetime | None:
    """Return the next moment of work that something has set off, or None."""
    return _first(collect_next_work, now)


def _first(signal: JobSignal, now: datetime) -> datetime | None:
    responses, _ = _ask(signal, now)
    # A moment that has passed is due already.
    return min((at for at in responses if at is not None and at > now), default=None)


def busy(now: datetime) -> set[str]:
    """Return the labels of work that is due or running; a failing job counts as busy."""
    responses, failed = _ask(collect_busy, now)
    labels = {label for found in responses for label in found or ()}
    return labels | {f"failed:{name}" for name in failed}


def run_each(units: Iterable[T], run: Callable[[T], Any]) -> None:
    """Run each unit of a job in isolation; raise the first error after the last unit.

    An unavailable database would fail every unit, so it ends the job at once.
    """
    first: Exception | None = None
    for unit in units:
        try:
            run(unit)
        except Exception as error:
            if database_errors.unavailable(error):
                raise
            logger.warning("%s failed: %s", unit, type(error).__name__)
            first = first or error
    if first is not None:
        raise first


def failures() -> list[FailedJob]:
    """Return the jobs whose last run failed, in any process."""
    return list(FailedJob.objects.order_by("since", "job"))


def _ask(signal: JobSignal, now: datetime) -> tuple[list[Any], list[str]]:
    """Call the receivers of a signal in isolation; return responses and names of failed jobs."""
    responses: list[Any] = []
    failed: list[str] = []
    known = _known()
    for receiver in list(signal.receivers):
        job, name = _job(receiver), _name(receiver)
        try:
            responses.append(receiver(signal=signal, now=now))
        except Exception as error:
            failed.append(name)
            _reset_connection()
            _report(job, name, error)
        else:
            _forget(job, known)
    return responses, failed


def _job(receiver: Any) -> str:
    name = getattr(receiver, "__qualname__", type(receiver).__name__)
    return f"{receiver.__module__}.{name}"[:200]


def _name(receiver: Any) -> str:
    config = apps.get_containing_app_config(receiver.__module__)
    return str(config.verbose_name if config else receiver.__module__)[:100]


def _known() -> set[str]:
    try:
        return set(FailedJob.objects.values_list("job", flat=True))
    except (DatabaseError, InterfaceError):
        # The first job reports the error.
        _reset_connection()
        return set()


def _reset_connection() -> None:
    """Close a lost connection, so that the next job opens a new one."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def _report(job: str, name: str, error: Exception) -> None:
    """Log and record a failure; log the traceback of the first of its type in this process."""
    key = (job, type(error).__name__)
    last = _logged.get(key)
    if last is not None and time.monotonic() < last + QUIET:
        return
    _logged[key] = time.monotonic()
    is_new = last is None and not database_errors.unavailable(error)
    logger.error(
        "The job %s failed and runs again at the next turn: %s",
        job,
        database_errors.summary(error),
        exc_info=error if is_new else None,
    )
    _record(job, name, error)


def _record(job: str, name: str, error: Exception) -> None:
    kind = type(error).__name__[:100]
    try:
        with transaction.atomic():
            changed = FailedJob.objects.filter(job=job).update(error=kind, count=F("count") + 1)
            if not changed:
                row = FailedJob(job=job, name=name, error=kind, since=clock.now(), count=1)
                # Race: another process may insert the first failure.
                FailedJob.objects.bulk_create([row], ignore_conflicts=True)
    except (DatabaseError, InterfaceError):
        logger.warning("The failure of the job %s could not be recorded.", job)


def _forget(job: str, known: set[str]) -> None:
    """Delete the record of a job that succeeded."""
    for key in [key for key in _logged if key[0] == job]:
        _logged.pop(key, None)
    if job not in known:
        return
    try:
        FailedJob.objects.filter(job=job).delete()
    except (DatabaseError, InterfaceError):
        _reset_connection()
