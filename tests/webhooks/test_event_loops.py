"""What a process with an engine sets of the interpreter, and of its connection."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from webhooks.delivery import engine, event_loops
from webhooks.delivery.event_loops import SqlThread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def interpreter() -> Iterator[None]:
    """Python's own values, restored afterwards."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.enable()


def test_threads_switch_every_half_millisecond_beside_an_engine(interpreter: None) -> None:
    engine.start()
    try:
        assert sys.getswitchinterval() == pytest.approx(event_loops.SWITCH_INTERVAL) == 0.0005
    finally:
        engine.stop()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's log")
def test_sql_thread_leaves_checkpoints_to_other_connections() -> None:
    def pages() -> int:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_autocheckpoint")
            return int(cursor.fetchone()[0])

    thread = SqlThread()
    try:
        assert thread.submit(pages).result() == event_loops.CHECKPOINT == 4 * pages()
    finally:
        thread.end(lambda: None)
