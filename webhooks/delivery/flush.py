"""Store finished attempts despite errors of the database or of a single row.

While the database is unavailable, results are kept for another try: a successful attempt must not
become a failure because a server restarts. A row that cannot be stored is isolated, so that it
never blocks the others: it is stored as a failure with a message, or, if that fails too, it is
logged and its delivery is released.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import F

from requests_queue import clock
from webhooks.delivery import recording, retry
from webhooks.delivery.in_flight import AttemptResult
from webhooks.delivery.recording import Stored
from webhooks.models import Delivery, Webhook
from webhooks.signals import flush_failed
from webhooks.types import EVENT

logger = logging.getLogger(__name__)

# Single rows that may fail in one flush before it keeps the rest for the next.
_MAX_FAILED = 10
# SQLSTATE classes of OperationalError that concern the rows of one transaction, not the database:
# transaction rollback (deadlock), program limit exceeded, object not in prerequisite state (lock).
_OF_ROWS = ("40", "54", "55")
_LONGEST = 2**31 - 1  # milliseconds that the column takes
_LOCK_NOT_AVAILABLE = "55P03"
# The server ended the session of a process that was paused in a transaction; psycopg raises
# InternalError.
_IDLE_TOO_LONG = "25P03"
_NOT_STORED = "The response could not be stored, so the attempt counts as a failure."


@dataclass(slots=True)
class FlushResult:
    """What became of each attempt, in order, and the error because of which some are kept."""

    stored: list[Stored] = field(default_factory=list)
    error: Exception | None = None
    # Whether the errors say that the database as a whole is unavailable.
    unavailable: bool = False
    # Positions of those that failed by themselves, not because of another one.
    failed_alone: list[int] = field(default_factory=list)
    # By position, those that are released once the others are stored.
    _released: dict[int, AttemptResult] = field(default_factory=dict)
    _isolate: bool = False


def write(results: Sequence[AttemptResult], *, isolate: bool = False) -> FlushResult:
    """Record the attempts and return what became of each; raises no Exception.

    After an error of the database as a whole all are kept. With `isolate`, for a caller that knows
    that the database responds, the rows are tried in ever smaller parts instead.
    """
    flush = FlushResult(_isolate=isolate)
    _write(flush, results)
    for at, result in flush._released.items():
        flush.stored[at] = _release(result)
    if flush.error is not None:
        flush_failed.send(sender=None, error=flush.error)
    return flush


def is_unavailable(error: Exception) -> bool:
    """Whether the error says that the database is down, locked, full or out of resources."""
    if _sqlstate(error) == _IDLE_TOO_LONG:
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not _sqlstate(error).startswith(_OF_ROWS)


def _sqlstate(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _write(flush: FlushResult, results: Sequence[AttemptResult]) -> None:
    """Record the attempts together, or after an error in halves; the rest is kept."""
    if flush.unavailable or len(flush.failed_alone) >= _MAX_FAILED:
        flush.stored += [Stored.KEPT] * len(results)
        return
    try:
        flush.stored += _record(results)
        return
    except Exception as error:
        _clean_up()
        flush.error = error
        if is_unavailable(error) and not flush._isolate:
            flush.unavailable = True
            flush.stored += [Stored.KEPT] * len(results)
            return
        if len(results) == 1:
            _write_alone(flush, results[0], error)
            return
    half = len(results) // 2
    _write(flush, results[:half])
    _write(flush, results[half:])


def _write_alone(flush: FlushResult, result: AttemptResult, error: Exception) -> None:
    stored = _replace(result, error)
    if stored == Stored.KEPT:
        flush.failed_alone.append(len(flush.stored))
    elif stored == Stored.RELEASED:
        flush._released[len(flush.stored)] = result
    flush.stored.append(stored)


def _record(results: Sequence[AttemptResult]) -> list[Stored]:
    try:
        return recording.record(results)
    except OperationalError as error:
        if _sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        _clean_up()
        return recording.record(results, skip_locked=True)


def _replace(result: AttemptResult, error: Exception) -> Stored:
    """Record a failure in place of an attempt that cannot be stored; keep other ones."""
    if not _cannot_be_stored(error):
        return Stored.KEPT
    logger.error(
        "The attempt of delivery %s cannot be stored; it is recorded as a failure.",
        result.claimed.delivery_id,
        exc_info=error,
        extra=result.claimed.ids,
    )
    try:
        stored = _record([_without_content(result)])
        return Stored.KEPT if stored == [Stored.KEPT] else Stored.REPLACED
    except Exception as second:
        _clean_up()
        return Stored.RELEASED if _cannot_be_stored(second) else Stored.KEPT


def _cannot_be_stored(error: Exception) -> bool:
    """Whether trying again is useless: an error of the row's data, or of the program."""
    if isinstance(error, DataError | IntegrityError) or _sqlstate(error).startswith("54"):
        return True
    return not isinstance(error, DatabaseError | InterfaceError | MemoryError)


def _without_content(result: AttemptResult) -> AttemptResult:
    """Return the result without request and response, whose content can't be stored."""
    if result.outcome == retry.UNKNOWN:
        return AttemptResult(result.claimed, retry.UNKNOWN, 0, stopped=result.stopped)
    duration = min(result.duration, _LONGEST)
    return AttemptResult(result.claimed, retry.FAILURE, duration, error=_NOT_STORED)


def _release(result: AttemptResult) -> Stored:
    """Release the delivery of an attempt that cannot be recorded in any form.

    The webhook backs off, since the request would otherwise be repeated in a loop; after an unknown
    outcome, which says nothing about the handler, the delivery alone waits.
    """
    claimed = result.claimed
    altered = claimed.override is not None and claimed.override.altered
    retried = claimed.webhook["type"] == EVENT and not altered
    state = Delivery.WAITING if retried else Delivery.FAILED
    logger.error(
        "The attempt of delivery %s of %s cannot be recorded in any form (outcome: %s); the "
        "delivery is released.",
        claimed.delivery_id,
        claimed.webhook["id"],
        result.outcome,
        extra=claimed.ids,
    )
    try:
        with transaction.atomic():
            # Locked before the generation is read, as in a flush.
            Delivery.objects.filter(
                pk=claimed.delivery_id, claim=claimed.claim, state=Delivery.CALLING
            ).update(state=state, claim=None, lease=None, forced=False)
            now, generation = clock.read()
            until = clock.ceil(now + timedelta(seconds=settings.SIM_RETRY_BASE))
            if generation == claimed.generation and result.outcome == retry.UNKNOWN:
                rows = Delivery.objects.filter(pk=claimed.delivery_id, state=Delivery.WAITING)
                rows.update(due_at=until, losses=F("losses") + 1)
            elif generation == claimed.generation:
                # The backoff of a first failure, unless the webhook has a backoff.
                Webhook.objects.filter(
                    pk=claimed.webhook["id"],
                    active=True,
                    out_of_order=False,
                    earliest_possible_trigger=None,
                ).update(earliest_possible_trigger=until, gate_closed_at=now)
    except Exception as error:
        _clean_up()
        if not _cannot_be_stored(error):
            return Stored.KEPT
        logger.exception("Delivery %s cannot be released.", claimed.delivery_id, extra=claimed.ids)
    return Stored.RELEASED


def _clean_up() -> None:
    # Closes an unusable connection, so that the next query opens a new one.
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
