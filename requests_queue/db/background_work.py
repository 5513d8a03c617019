"""Background work that a reset or restore of the sandbox, by any process, keeps out.

Jobs, tasks and moves of the clock do their work inside `running`. A replacement of all data waits
for them, and they wait for it: in its own process by `pausing`, and in the others by a lock of the
database that work holds shared. Work that began before a replacement must not write into the new
data, so it gives the generation of the data that it began with.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from requests_queue.db import pausing, sql

logger = logging.getLogger(__name__)

_LOCK = 0x6A6F6273  # of PostgreSQL: shared by work, exclusive in a replacement


class Replaced(Exception):
    """All data has been replaced since the work began."""


def generation() -> int:
    """Return how often all data has been replaced, by any process."""
    if not settings.SANDBOX:
        return 0
    # By its column: the clock itself builds on this package.
    rows = sql.fetch("SELECT generation FROM requests_queue_clock WHERE id = 1")
    return rows[0][0] if rows else 0


@contextmanager
def running(since: int | None = None) -> Iterator[int]:
    """Keep replacements out, after the end of one that is going on; yield the generation.

    Reentrant. Call outside a transaction. Raises Replaced if the generation is no longer `since`.
    """
    with pausing.running(), _shared_lock():
        current = generation()
        if since not in (None, current):
            raise Replaced
        yield current


def hold_transaction() -> None:
    """Keep replacements of other processes out until the transaction ends."""
    if settings.SANDBOX and connection.vendor == "postgresql":
        sql.fetch("SELECT pg_advisory_xact_lock_shared(%s)", [_LOCK])


def keep_out() -> None:
    """Wait for the work of all processes, and let new work wait until the transaction ends."""
    sql.advisory_lock(_LOCK)


@contextmanager
def _shared_lock() -> Iterator[None]:
    """Hold the lock of the database where several processes may have a sandbox's data."""
    if not settings.SANDBOX or connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        # Of the session rather than of a transaction: work has several.
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [_LOCK])
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [_LOCK])
        except DatabaseError as error:
            # The lock ends with its session.
            connection.close()
            logger.warning("Work has lost its connection to the database: %s", type(error).__name__)
