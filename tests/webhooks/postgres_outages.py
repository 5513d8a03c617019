"""PostgreSQL restarted during a flush, and rows that a transaction holds.

Run by `tests/runtime/test_postgres_outages.py`, on a server of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection

from requests_queue import heartbeats
from tests import make
from tests.engines import running, settled, until
from tests.handlers import handler
from tests.postgres_server import PostgresServer, own_server
from tests.webhooks import outages
from webhooks import webhook_health
from webhooks.delivery import claim, engine, fan_out, record
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> PostgresServer:
    return own_server()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TICK", 0.05)
    monkeypatch.setattr(engine, "RENEW", 0.05)
    monkeypatch.setattr(heartbeats, "_next", {})


def once(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, first: Callable[[], None]) -> Any:
    """Run something else before the first call of a function; return the event of its end."""
    real, done = getattr(where, name), threading.Event()

    def replaced(*args: Any, **more: Any) -> Any:
        if not done.is_set():
            try:
                first()
            finally:
                done.set()
        return real(*args, **more)

    monkeypatch.setattr(where, name, replaced)
    return done


def outcomes() -> list[str]:
    return list(Attempt.objects.values_list("outcome", flat=True))


@pytest.mark.parametrize(
    ("where", "name", "mode"),
    [
        (record, "_classify", "fast"),
        (record, "insert_attempts", "immediate"),
        (record, "_write_deliveries", "immediate"),
    ],
)
def test_restart_during_flush_loses_no_result(
    where: Any, name: str, mode: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = make.catalog()
    hold = threading.Event()
    with handler(lambda request: (hold.wait(30), 200)[1]) as served:
        make.webhook(catalog, served.url)
        make.order(catalog, 5)

        def restart() -> None:
            server.stop(mode)
            server.start()

        with running(2):
            for _ in range(5):
                served.next()
            restarted = once(monkeypatch, where, name, restart)
            hold.set()
            assert restarted.wait(30)
            connection.close()
            until(settled, "all stored")
        assert len(served.received) == 5
    assert outcomes() == ["success"] * 5
    assert Webhook.objects.values_list("triggers", "success_triggers").get() == (5, 5)
    assert webhook_health.counter_discrepancies() == []


def test_server_that_is_away_for_three_leases_loses_no_result(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlast(0.4, server, monkeypatch)


@pytest.mark.nightly(reason="waits 70 s")
def test_server_that_is_away_for_70_s_loses_no_result(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "TICK", 1.0)
    monkeypatch.setattr(engine, "RENEW", 10.0)
    outlast(None, server, monkeypatch)


def outlast(lease: float | None, server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the server while results are stored, until three leases have expired, or for 70 s."""
    if lease is not None:
        monkeypatch.setattr(claim, "take", partial(claim.take, lease=lease))
        monkeypatch.setattr(claim, "LEASE", lease)
    seconds = 70.0 if lease is None else 3 * lease

    @contextmanager
    def outage(begun: threading.Event) -> Iterator[None]:
        stopped = once(monkeypatch, record, "insert_attempts", server.stop)
        begun.set()
        assert stopped.wait(30)
        connection.close()
        threading.Event().wait(seconds)
        yield
        server.start()

    outages.outlast(make.catalog(), outage, within=30)
    assert webhook_health.counter_discrepancies() == []


@pytest.mark.parametrize("table", ["webhooks_webhook", "webhooks_delivery"])
def test_locked_row_does_not_block_other_results(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "LOCK_WAIT", 0.05)
    catalog = make.catalog()
    hold = threading.Event()
    with handler(lambda request: (hold.wait(30), 200)[1]) as served:
        held = make.webhook(catalog, f"{served.url}held")
        free = make.webhook(catalog, f"{served.url}free", n=2)
        make.order(catalog)
        with running() as [engine]:
            served.next(), served.next()
            with holding(table, held.pk):
                hold.set()
                until(lambda: Attempt.objects.filter(webhook=free).exists(), "stored", 2)
                # A later one too, while the locked one is tried again.
                fan_out.trigger(free)
                engine.wake()
                until(lambda: Attempt.objects.filter(webhook=free).count() == 2, "stored", 2)
                until(lambda: len(engine._window.results) == 1, "only the held one is kept")
                assert not Attempt.objects.filter(webhook=held).exists()
            until(settled, "the held one is stored")
        assert len(served.received) == 3
    assert outcomes() == ["success"] * 3
    assert webhook_health.counter_discrepancies() == []


def holding(table: str, webhook_id: str) -> AbstractContextManager[Any]:
    """Lock the webhook's row, or its deliveries', in an open transaction."""
    column = "id" if table == "webhooks_webhook" else "webhook_id"
    settings = connection.settings_dict
    other = psycopg.connect(
        host=settings["HOST"], port=settings["PORT"], user=settings["USER"], dbname=settings["NAME"]
    )
    other.execute(f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE", [webhook_id])
    return other
