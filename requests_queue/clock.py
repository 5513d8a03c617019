"""Platform time: the only clock of the domain, read once per transaction, claim or flush.

A sandbox can move it forward by an offset in the database, which all processes share; under the
server profile it is real time.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection

_SELECT = 'SELECT "offset", frozen_at, generation FROM requests_queue_clock WHERE id = 1'


class Reading(NamedTuple):
    """Platform time, and how often all data had been replaced by then."""

    now: datetime
    generation: int


def now() -> datetime:
    """Return platform time: aware, in UTC, with microseconds."""
    return read().now


def read() -> Reading:
    """Return platform time and the generation of the data, in one statement.

    A reset or restore increases the generation in its transaction. Without a sandbox it is 0.
    """
    # Before the offset: if a move starts in between, the result is not later than platform time.
    real = datetime.now(UTC)
    if not settings.SANDBOX:
        return Reading(real, 0)
    offset, frozen_at, generation = _row()
    return Reading(frozen_at or real + offset, generation)


def state() -> tuple[timedelta, datetime | None]:
    """Return the offset of a sandbox's platform time, and the moment at which it is frozen or None.

    It is read each time, because another process may have just moved it.
    """
    offset, frozen_at, _ = _row()
    return offset, frozen_at


def _row() -> tuple[timedelta, datetime | None, int]:
    # Raw SQL, because every response of the API reads it: the ORM takes ten times the CPU time.
    with connection.cursor() as cursor:
        cursor.execute(_SELECT)
        row = cursor.fetchone()
    if row is None:
        return timedelta(), None, 0
    offset, frozen_at, generation = row
    if connection.vendor == "sqlite":
        # Django stores microseconds there, and datetimes without a time zone in UTC.
        offset = timedelta(microseconds=offset)
        frozen_at = frozen_at and frozen_at.replace(tzinfo=UTC)
    return offset, frozen_at, generation


def shown(moment: datetime) -> datetime:
    """Return the moment without microseconds, as the API shows it.

    A client that filters by a moment that it has read finds the same row.
    """
    return moment.replace(microsecond=0)


def ceil(moment: datetime) -> datetime:
    """Return the moment, rounded up to a whole second."""
    return moment if not moment.microsecond else shown(moment) + timedelta(seconds=1)
