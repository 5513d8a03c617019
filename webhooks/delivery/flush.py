"""Store finished attempts, whatever the database or a single row does.

A database that is unavailable keeps the results for another try: an attempt that succeeded must
not become a failure because a server restarts. A row that cannot be stored is isolated, so that
it never blocks the others: it is stored as a failure that says so, and where even that fails, it
is logged and its delivery is released.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
)

from requests_queue import clock
from webhooks.delivery import recording, retry
from webhooks.delivery.in_flight import AttemptResult
from webhooks.delivery.recording import Recorded
from webhooks.models import Delivery, Webhook
from webhooks.types import EVENT

logger = logging.getLogger(__name__)

# Single rows that one flush tries in vain before it keeps the rest for another time.
_PATIENCE = 10
# SQLSTATE classes of OperationalError that concern the rows of one transaction, not the database:
# transaction rollback (deadlock), program limit exceeded, object not in prerequisite state (lock).
_OF_ROWS = ("40", "54", "55")
_LONGEST = 2**31 - 1  # milliseconds that the column takes
_LOCK_NOT_AVAILABLE = "55P03"
# The server ended the session of a process that was stopped in a transaction; psycopg makes an
# InternalError of it.
_IDLE_TOO_LONG = "25P03"
_NOT_STORED = "The response could not be stored, so the attempt counts as a failure."


class Stored(StrEnum):
    """What a flush made of a finished attempt."""

    # Recorded as it is, and its delivery settled (or deleted meanwhile).
    SETTLED = "settled"
    # Recorded as it is, but another worker had taken over the delivery.
    LATE = "late"
    # Recorded as a failure, because the row could not be stored.
    REPLACED = "replaced"
    # Not recorded at all; its delivery is released.
    RELEASED = "released"
    # Not recorded yet: try again.
    KEPT = "kept"


_STORED = {
    Recorded.SETTLED: Stored.SETTLED,
    Recorded.REPEATED: Stored.SETTLED,
    Recorded.DROPPED: Stored.SETTLED,
    Recorded.LATE: Stored.LATE,
    Recorded.BUSY: Stored.KEPT,
}


@dataclass(slots=True)
class FlushResult:
    """What became of each attempt, in their order, and the error that kept some, if any did."""

    stored: list[Stored] = field(default_factory=list)
    error: Exception | None = None
    # Whether the database as a whole is unavailable, as far as the errors say.
    unavailable: bool = False
    # Those (by position) that failed alone, and not because of another one.
    failed_alone: list[int] = field(default_factory=list)
    # Those (by position) that are released once the others are stored: their webhooks pause.
    _given_up: dict[int, AttemptResult] = field(default_factory=dict)
    _isolate: bool = False


def write(finished: Sequence[AttemptResult], *, isolate: bool = False) -> FlushResult:
    """Record the attempts and return what became of each; raises no Exception.

    An error of the database as a whole keeps them all, unless the caller knows that the database
    answers: with `isolate`, the rows are then tried in ever smaller parts.
    """
    flush = FlushResult(_isolate=isolate)
    _write(flush, finished)
    for at, call in flush._given_up.items():
        flush.stored[at] = _released(call)
    return flush


def is_unavailable(error: Exception) -> bool:
    """Whether the error says that the database is away, locked, full or out of resources."""
    if _sqlstate(error) == _IDLE_TOO_LONG:
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not _sqlstate(error).startswith(_OF_ROWS)


def _sqlstate(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _write(flush: FlushResult, finished: Sequence[AttemptResult]) -> None:
    """Record the attempts together, or else in halves; a flush that gives up keeps the rest."""
    if flush.unavailable or len(flush.failed_alone) >= _PATIENCE:
        flush.stored += [Stored.KEPT] * len(finished)
        return
    try:
        flush.stored += _record(finished)
        return
    except Exception as error:
        _clean_up()
        flush.error = error
        if is_unavailable(error) and not flush._isolate:
            flush.unavailable = True
            flush.stored += [Stored.KEPT] * len(finished)
            return
        if len(finished) == 1:
            _write_alone(flush, finished[0], error)
            return
    half = len(finished) // 2
    _write(flush, finished[:half])
    _write(flush, finished[half:])


def _write_alone(flush: FlushResult, call: AttemptResult, error: Exception) -> None:
    stored = _isolated(call, error)
    if stored == Stored.KEPT:
        flush.failed_alone.append(len(flush.stored))
    elif stored == Stored.RELEASED:
        flush._given_up[len(flush.stored)] = call
    flush.stored.append(stored)


def _record(finished: Sequence[AttemptResult]) -> list[Stored]:
    try:
        found = recording.record(finished)
    except OperationalError as error:
        if _sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        _clean_up()
        found = recording.record(finished, skip_locked=True)
    return [_STORED[kind] for kind in found]


def _isolated(call: AttemptResult, error: Exception) -> Stored:
    """Return what becomes of an attempt that cannot be recorded alone."""
    if not _cannot_be_stored(error):
        return Stored.KEPT
    logger.error(
        "The attempt of delivery %s cannot be stored; it is recorded as a failure.",
        call.claimed.delivery_id,
        exc_info=error,
    )
    try:
        found = _record([_without_content(call)])
        return Stored.KEPT if found == [Stored.KEPT] else Stored.REPLACED
    except Exception as second:
        _clean_up()
        return Stored.RELEASED if _cannot_be_stored(second) else Stored.KEPT


def _cannot_be_stored(error: Exception) -> bool:
    """Whether trying again is useless: the row's own error, or one that is not the database's."""
    if isinstance(error, DataError | IntegrityError) or _sqlstate(error).startswith("54"):
        return True
    return not isinstance(error, DatabaseError | InterfaceError | MemoryError)


def _without_content(call: AttemptResult) -> AttemptResult:
    """Return the attempt without request and response, which are what may not be storable."""
    if call.outcome == retry.UNKNOWN:
        return AttemptResult(call.claimed, retry.UNKNOWN, 0, stopped=call.stopped)
    duration = min(call.duration, _LONGEST)
    return AttemptResult(call.claimed, retry.FAILURE, duration, error=_NOT_STORED)


def _released(call: AttemptResult) -> Stored:
    """Give up an attempt that cannot be recorded in any form, and release its delivery.

    The webhook pauses, since the request would otherwise be repeated without end.
    """
    claimed = call.claimed
    altered = claimed.override is not None and claimed.override.altered
    retried = claimed.webhook["type"] == EVENT and not altered
    state = Delivery.WAITING if retried else Delivery.FAILED
    logger.error(
        "The attempt of delivery %s of %s cannot be recorded in any form (outcome: %s); the "
        "delivery is released.",
        claimed.delivery_id, claimed.webhook["id"], call.outcome,
    )  # fmt: skip
    try:
        _pause(claimed.webhook["id"])
        Delivery.objects.filter(
            pk=claimed.delivery_id, claim=claimed.claim, state=Delivery.CALLING
        ).update(state=state, claim=None, lease=None, forced=False)
    except Exception as error:
        _clean_up()
        if not _cannot_be_stored(error):
            return Stored.KEPT
        logger.exception("Delivery %s cannot be released.", claimed.delivery_id)
    return Stored.RELEASED


def _pause(webhook_id: str) -> None:
    """Let a webhook without a backoff wait as long as after a first failure."""
    now = clock.now()
    until = clock.ceil(now + timedelta(seconds=settings.SIM_RETRY_BASE))
    Webhook.objects.filter(
        pk=webhook_id, active=True, out_of_order=False, earliest_possible_trigger=None
    ).update(earliest_possible_trigger=until, gate_closed_at=now)


def _clean_up() -> None:
    # A connection that an error left unusable is opened again at the next query.
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
