"""SQLite locked during a flush, for longer than its timeout and the lease."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections

from requests_queue import heartbeats
from tests import make
from tests.engines import until
from tests.webhooks.outages import outlast
from webhooks.delivery import engine, record

pytestmark = [
    pytest.mark.usefixtures("sound_counters"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="one lock for the whole file"),
]


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of the database file, as another writing process does, longer than leases.

    They are expired by the lock's transaction: leases that are so short that a test outlasts them
    expire before the lock on a busy machine.
    """
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE webhooks_delivery SET lease = 0 WHERE state = 'calling'")
        yield
        other.execute("COMMIT")
    finally:
        other.close()


# A lock that ends during a try, and one that outlasts three.
@pytest.mark.parametrize("times", [2.6, 3.4])
def test_results_survive_a_lock_that_outlasts_timeout_and_lease(
    catalog: make.Catalog,
    times: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeout = 0.25
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", timeout)
    monkeypatch.setattr(engine, "TICK", 0.05)
    outlast_lock(times * timeout, catalog, monkeypatch)
    for what in (engine.STORING, engine.DATABASE):
        # Two engines, each of which logs it once.
        assert 1 <= caplog.text.count(f"{what}: failing") <= 2


@pytest.mark.nightly(reason="waits 70 s")
def test_results_survive_a_lock_of_70_s_at_production_settings(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlast_lock(70, catalog, monkeypatch)


def outlast_lock(seconds: float, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock the file while results are stored."""
    monkeypatch.setattr(heartbeats, "_next", {})
    failed: list[record.Flush] = []
    real = record.flush

    def write(*args: Any, **more: Any) -> record.Flush:
        result = real(*args, **more)
        if result.unavailable:
            failed.append(result)
        return result

    @contextmanager
    def outage(begun: threading.Event) -> Iterator[None]:
        with locked():
            began = time.monotonic()
            begun.set()
            until(lambda: failed, "a flush fails", 60)
            until(lambda: time.monotonic() - began >= seconds, "the lock's time", seconds + 5)
            yield

    monkeypatch.setattr(engine, "flush", write)
    outlast(catalog, outage, within=45)
