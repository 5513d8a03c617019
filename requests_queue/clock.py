"""Platform time: the only clock of the domain, read once per transaction, claim, flush or page.

A sandbox can move it forward by an offset in the database, which all processes share; under the
server profile it is real time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from requests_queue import assumptions
from requests_queue.db import sql

# Of the block that reads it once, if there is one: the reading when it is done.
_readings: ContextVar[list[Reading] | None] = ContextVar("readings", default=None)
_SELECT = 'SELECT "offset", frozen_at, {} FROM requests_queue_clock WHERE id = 1'


class Reading(NamedTuple):
    """Platform time, and how often all data had been replaced by then."""

    now: datetime
    generation: int


class State(NamedTuple):
    """A sandbox's clock: see the model `Clock`."""

    offset: timedelta = timedelta()
    frozen_at: datetime | None = None
    replaced_at: datetime | None = None


@contextmanager
def reading_once() -> Iterator[None]:
    """Read platform time once at most in this block, which changes nothing.

    So a page shows what is true at one moment.
    """
    token = _readings.set([])
    try:
        yield
    finally:
        _readings.reset(token)


def now() -> datetime:
    """Return platform time: aware, in UTC, with microseconds."""
    return read().now


def read() -> Reading:
    """Return platform time and the generation of the data, in one statement.

    A reset or restore increases the generation in its transaction. Without a sandbox it is 0.
    """
    if kept := _readings.get():
        return kept[0]
    reading = _read()
    if kept is not None:
        kept.append(reading)
    return reading


def _read() -> Reading:
    # Before the offset: if a move starts in between, the result is not later than platform time.
    real = datetime.now(UTC)
    if not settings.SANDBOX:
        return Reading(real, 0)
    offset, frozen_at, generation = _row("generation") or (timedelta(), None, 0)
    return Reading(frozen_at or real + offset, generation)


def state() -> State:
    """Return the state of a sandbox's clock.

    It is read each time, because another process may have just moved it.
    """
    row = _row("replaced_at")
    return State() if row is None else State(*row[:2], sql.datetime_value(row[2]))


def _row(column: str) -> tuple[timedelta, datetime | None, Any] | None:
    # Raw SQL, because every response of the API reads it: the ORM takes ten times the CPU time.
    rows = sql.fetch(_SELECT.format(column))
    if not rows:
        return None
    [(offset, frozen_at, value)] = rows
    if connection.vendor == "sqlite":
        # Django stores microseconds there.
        offset = timedelta(microseconds=offset)
    return offset, sql.datetime_value(frozen_at), value


def shown(moment: datetime) -> datetime:
    """Return the moment as the API shows it, by default without microseconds.

    A client that filters by a moment that it has read finds the same row.
    """
    is_exact = assumptions.value("date_precision") == "microseconds"
    return moment if is_exact else moment.replace(microsecond=0)


def ceil(moment: datetime) -> datetime:
    """Return the moment, rounded up to a whole second."""
    return moment.replace(microsecond=0) + timedelta(seconds=bool(moment.microsecond))
