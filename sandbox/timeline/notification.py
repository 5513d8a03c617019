"""Tell of new entries of the timeline: threads that wait for them, and open pages.

In one process a commit notifies threads directly. Across processes PostgreSQL's NOTIFY does, and on
SQLite its change counter, which is read every POLL seconds while somebody waits. Pages hear what
changes by `requests_queue.topics`: of no account what all may see.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from webhooks.delivery import wakeup

CHANNEL = "connect_sim_timeline"
_NOTIFY = f"SELECT pg_notify('{CHANNEL}', '')"  # at the commit
POLL = 0.1  # seconds
RECONNECT = 1.0  # seconds until a listener without a database tries again

_condition = threading.Condition()
_count = 0
_waiting = 0  # threads in `wait`
CALLS, FAULTS, CHECKS = "calls", "faults", "checks"


def announce_after_commit() -> None:
    """Notify all waiting threads when the transaction is committed."""
    if _reaches_processes():
        with connection.cursor() as cursor:
            cursor.execute(_NOTIFY)
    announce_here_after_commit()


def notifying(change: str) -> str:
    """Return a statement that changes the same and notifies other processes at the commit.

    For this process call `announce_here_after_commit`.
    """
    return f"WITH changed AS ({change}) {_NOTIFY}" if _reaches_processes() else change


def announce_here_after_commit() -> None:
    """Notify the waiting threads of this process when the transaction is committed."""
    transaction.on_commit(announce, robust=True)


def _reaches_processes() -> bool:
    return connection.vendor == "postgresql" and not wakeup.is_broker_in_memory()


def announce() -> None:
    """Notify the waiting threads of this process."""
    global _count
    with _condition:
        _count += 1
        _condition.notify_all()


def count() -> int:
    """Return a number that grows with each notification."""
    return _count


def wait(seen: int, timeout: float | None = None) -> int:
    """Wait until `count()` differs from `seen` or the timeout (seconds); return the count."""
    global _waiting
    _ensure_listener()
    with _condition:
        _waiting += 1
        # The listener may pause while nobody waits.
        _condition.notify_all()
        try:
            _condition.wait_for(lambda: _count != seen, timeout)
        finally:
            _waiting -= 1
        return _count


# Other processes.

_listener: threading.Thread | None = None
_guard = threading.Lock()


def _ensure_listener() -> None:
    """Start this process's listener, unless all writers are in this process."""
    global _listener
    if wakeup.is_broker_in_memory():
        return
    with _guard:
        if _listener is None or not _listener.is_alive():
            listen = _listen_postgresql if connection.vendor == "postgresql" else _poll_sqlite
            _listener = threading.Thread(
                target=_forever, args=[listen], name="timeline-listener", daemon=True
            )
            _listener.start()


def _forever(listen: Callable[[], None]) -> None:
    while True:
        try:
            listen()
        except Exception:
            # The database is unavailable: waiting threads read it at intervals meanwhile.
            connection.close()
            announce()
            time.sleep(RECONNECT)


def _listen_postgresql() -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    # Entries that were committed before LISTEN.
    announce()
    driver: Any = connection.connection
    for _ in driver.notifies():
        announce()


def _poll_sqlite() -> None:
    last = None
    while True:
        with _condition:
            _condition.wait_for(lambda: _waiting > 0)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            [version] = cursor.fetchone()
        if version != last:
            last = version
            announce()
        time.sleep(POLL)
