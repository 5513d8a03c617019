"""Postpone deliveries: what a block of code makes due starts when something else has been stored.

An app above this one may have to store something about a request before what the request causes
starts. Inside `postponed()`, deliveries that are created, that an event joins, or whose backoff is
cleared get a lease although they are pending, and no engine claims them until `release` or until
the lease ends, in this process or another. So a process that is killed delays them by LIMIT
seconds at most. Outside such a block nothing is different.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakSet

from django.conf import settings
from django.db import connection, transaction

from requests_queue import prepared, sql
from webhooks.models import Delivery

LIMIT = 5.0  # seconds, by the database's clock
LOCK_WAIT = 0.5  # seconds for which a release waits for rows that another transaction holds
_CHUNK = 500  # deliveries of one statement


@dataclass(slots=True, eq=False, weakref_slot=True)
class Postponement:
    """The deliveries that one block has postponed; they are forgotten with the object.

    `wakes` is whether the engine is to be woken once they are released.
    """

    deliveries: set[int] = field(default_factory=set)
    wakes: bool = False


_current: ContextVar[Postponement | None] = ContextVar("postponement", default=None)
_live: WeakSet[Postponement] = WeakSet()
_guard = threading.Lock()


class postponed:
    """Postpone the deliveries that the block makes due; pass the result to `release`.

    Not a generator, which takes twice the time: each request of the API enters it.
    """

    __slots__ = ("_token",)

    def __enter__(self) -> Postponement:
        postponement = Postponement()
        self._token = _current.set(postponement)
        return postponement

    def __exit__(self, *error: object) -> None:
        _current.reset(self._token)


def current() -> Postponement | None:
    """Return the postponement of the block that is running, if any."""
    return _current.get()


def lease() -> str:
    """Return the SQL expression for the lease of a delivery that becomes due: NULL outside."""
    return "NULL" if _current.get() is None else f"{sql.epoch()} + {LIMIT}"


def add(delivery_ids: Iterable[int]) -> None:
    """Note deliveries that got the lease; call in the transaction that gave it to them."""
    postponement = _current.get()
    if postponement is None:
        return
    with _guard:
        postponement.deliveries.update(delivery_ids)
        _live.add(postponement)


def merge(delivery_id: int, into: int) -> None:
    """Note that a delivery which has the lease is merged into another one, which gets it too.

    In this process only: a block of another one doesn't release it, so it waits for the lease.
    """
    with _guard:
        for each in _live:
            if delivery_id in each.deliveries:
                each.deliveries.add(into)


def postpone_pending(webhook_id: str) -> None:
    """Postpone the pending deliveries of a webhook whose backoff ends, as far as they may start.

    Deliveries that another transaction holds are skipped: the webhook is locked already.
    """
    if _current.get() is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE webhooks_delivery SET lease = COALESCE(lease, {lease()}) WHERE id IN (
                SELECT id FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
                WHERE webhook_id = %s AND state = 'waiting' AND NOT forced
                ORDER BY id LIMIT %s {sql.skip_locked()}
            ) RETURNING id
            """,
            [webhook_id, settings.SIM_MAX_IN_FLIGHT],
        )
        add(pk for (pk,) in cursor.fetchall())


def release(postponements: Sequence[Postponement]) -> None:
    """Let the deliveries start, except those that another block of this process postpones."""
    ids = sorted({pk for each in postponements for pk in each.deliveries})
    if ids and connection.vendor == "postgresql":
        with transaction.atomic(savepoint=False):
            ids = _clear_unlocked(ids, postponements)
            transaction.on_commit(partial(_forget, postponements, set(ids)))
    if not ids:
        return
    # Only PostgreSQL may refuse the locks, which must not undo a transaction around this one.
    with transaction.atomic(savepoint=connection.vendor == "postgresql"):
        sql.limit_lock_wait(LOCK_WAIT)
        for start in range(0, len(ids), _CHUNK):
            _lock(ids[start : start + _CHUNK])
        # Read with the rows locked: an event that joins one of them has noted it by then.
        free = sorted(set(ids) - _postponed_by_others(postponements))
        for start in range(0, len(free), _CHUNK):
            _clear(free[start : start + _CHUNK])
        transaction.on_commit(partial(_forget, postponements))


def _clear_unlocked(ids: Sequence[int], postponements: Sequence[Postponement]) -> list[int]:
    """Let those deliveries start that no transaction holds, by one statement; return the others.

    That is nearly always all of them, and to wait for locks takes five statements.
    """
    leases: dict[int, float | None] = {}
    free = sorted(set(ids) - _postponed_by_others(postponements))
    for start in range(0, len(free), _CHUNK):
        is_one, params = sql.one_of("id", free[start : start + _CHUNK])
        cleared = prepared.fetch(
            f"""
            UPDATE webhooks_delivery d SET lease = NULL FROM (
                SELECT id, lease FROM webhooks_delivery WHERE state = 'waiting' AND {is_one}
                ORDER BY id {sql.skip_locked()}
            ) unlocked WHERE d.id = unlocked.id RETURNING d.id, unlocked.lease
            """,
            params,
        )
        leases.update(cleared)
    # With the rows locked: an event that has joined one of them since has noted it by then.
    for pk in leases.keys() & _postponed_by_others(postponements):
        Delivery.objects.filter(pk=pk).update(lease=leases[pk])
    return [pk for pk in free if pk not in leases]


def _lock(ids: Sequence[int]) -> None:
    """Lock the deliveries, in order; on SQLite a write transaction has locked all rows."""
    if connection.vendor == "postgresql":
        is_one, params = sql.one_of("id", ids)
        prepared.fetch(
            f"""
            SELECT id FROM webhooks_delivery WHERE state = 'waiting' AND {is_one}
            ORDER BY id FOR NO KEY UPDATE
            """,
            params,
        )


def _clear(ids: Sequence[int]) -> None:
    is_one, params = sql.one_of("id", ids)
    prepared.fetch(
        f"UPDATE webhooks_delivery SET lease = NULL WHERE state = 'waiting' AND {is_one}", params
    )


def _postponed_by_others(postponements: Sequence[Postponement]) -> set[int]:
    with _guard:
        return {pk for each in _live if each not in postponements for pk in each.deliveries}


def _forget(postponements: Sequence[Postponement], kept: Collection[int] = ()) -> None:
    """Forget the deliveries, except those."""
    with _guard:
        for each in postponements:
            each.deliveries.intersection_update(kept)
            if not each.deliveries:
                _live.discard(each)
