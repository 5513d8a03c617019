"""SQLite locked during a flush, for longer than its timeout and the lease."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections

from requests_queue import heartbeats
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import running, settled, until
from tests.handlers import ReceivedRequest, handler
from webhooks import webhook_health
from webhooks.delivery import claim, engine, record
from webhooks.models import Attempt, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="one lock for the whole file"),
]


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of the database file, as another writing process does."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


# A lock that ends during a try, and one that outlasts three.
@pytest.mark.parametrize("times", [2.6, 3.4])
def test_results_survive_a_lock_that_outlasts_timeout_and_lease(
    times: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    timeout = lease = 0.25
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", timeout)
    monkeypatch.setattr(claim, "take", partial(claim.take, lease=lease))
    monkeypatch.setattr(claim, "LEASE", lease)
    monkeypatch.setattr(engine, "TICK", 0.05)
    monkeypatch.setattr(engine, "RENEW", 30.0)
    outlast_lock(times * max(timeout, lease), monkeypatch)
    for what in (engine.STORING, engine.DATABASE):
        # Two engines, each of which logs it once.
        assert 1 <= caplog.text.count(f"{what}: failing") <= 2


@pytest.mark.nightly(reason="waits 70 s")
def test_results_survive_a_lock_of_70_s_at_production_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outlast_lock(70, monkeypatch)


def outlast_lock(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock the file while results are stored; afterwards nothing is lost or wrong."""
    monkeypatch.setattr(heartbeats, "_next", {})
    failed: list[record.Flush] = []
    real = record.flush

    def write(*args: Any, **more: Any) -> record.Flush:
        result = real(*args, **more)
        if result.unavailable:
            failed.append(result)
        return result

    monkeypatch.setattr(engine, "flush", write)
    catalog = make.catalog()
    # One request that succeeds, one that fails, and one that is in flight all the time.
    hold, late = threading.Event(), threading.Event()
    responses = {"/good": (hold, 200), "/bad": (hold, 500), "/slow": (late, 200)}

    def respond(request: ReceivedRequest) -> int:
        event, status = responses[request.path]
        event.wait(120)
        return status

    with handler(respond) as served:
        hooks = [
            make.webhook(catalog, f"{served.url}{path[1:]}", n=n)
            for n, path in enumerate(responses, 1)
        ]
        creation.create(make.purchase(catalog), catalog.as_distributor)
        with running(2) as engines:
            for _ in hooks:
                served.next()
            with locked():
                began = time.monotonic()
                hold.set()
                until(lambda: failed, "a flush fails", 60)
                until(lambda: time.monotonic() - began >= seconds, "the lock's time", seconds + 5)
                assert sum(len(engine._window.results) for engine in engines) == 2
            until(lambda: Attempt.objects.count() == 2, "the results are stored", 45)
            late.set()
            until(lambda: Attempt.objects.count() == 3, "the slow one is stored", 45)
        assert len(served.received) == 3
    assert settled(hooks[0]) and settled(hooks[2]) and not settled(hooks[1])
    outcomes = dict(Attempt.objects.values_list("url", "outcome"))
    assert [outcomes[hook.external_url] for hook in hooks] == ["success", "failure", "success"]
    counted = Webhook.objects.order_by("pk").values_list(
        "triggers", "success_triggers", "failure_triggers", "round"
    )
    assert list(counted) == [(1, 1, 0, 0), (1, 0, 1, 1), (1, 1, 0, 0)]
    assert webhook_health.counter_discrepancies() == []
