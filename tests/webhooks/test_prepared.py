"""Claims of an engine as prepared statements of its connection, on PostgreSQL."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections

from requests_queue import prepared
from tests import make
from tests.engines import until
from webhooks.delivery import claims, selection
from webhooks.delivery.event_loops import SqlThread
from webhooks.models import Delivery, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's statements"),
]


@pytest.fixture
def thread() -> Iterator[SqlThread]:
    started = SqlThread()
    yield started
    started.end(lambda: None)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Webhook:
    monkeypatch.setattr(prepared, "_is_refused", False)
    return make.webhook(make.catalog())


def claim(thread: SqlThread, hook: Webhook) -> int:
    """Create a delivery, and return how many are claimed."""
    Delivery.objects.create(webhook=hook, created_at=make.AT)
    return len(thread.submit(claims.claim, 10).result())


def statements() -> list[str]:
    """Return what this thread has prepared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [row[0] for row in cursor.fetchall()]


def session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def fetch_of_a_request() -> list[Any]:
    """Fetch as the first statement of a request does, which may find an old connection."""
    connection.close_if_unusable_or_obsolete()
    return prepared.fetch("SELECT 1", [])


def test_connection_that_the_server_has_ended_is_opened_again() -> None:
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(session).result()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
        assert thread.submit(fetch_of_a_request).result() == [(1,)]
        thread.submit(connections.close_all).result()


def test_statements_are_observed_like_others(thread: SqlThread, hook: Webhook) -> None:
    seen: list[str] = []

    def record(execute: Any, statement: str, *rest: Any) -> Any:
        seen.append(statement)
        return execute(statement, *rest)

    def observed() -> list[Any]:
        with connection.execute_wrapper(record):
            return prepared.fetch("SELECT %s::int", [7])

    assert thread.submit(observed).result() == [(7,)]
    assert [statement.partition("/*")[0] for statement in seen] == ["SELECT %s::int"]


def test_only_claims_of_the_engine_are_prepared(thread: SqlThread, hook: Webhook) -> None:
    assert claim(thread, hook) == claim(thread, hook) == 1
    found = thread.submit(statements).result()
    for part in ("pg_advisory_xact_lock", "FROM pending CROSS JOIN", "WITH free AS"):
        assert any(part in statement for statement in found)
    Delivery.objects.create(webhook=hook, created_at=make.AT)
    assert len(claims.claim(10)) == 1 and statements() == []


def test_statement_is_planned_again_for_a_larger_table(thread: SqlThread, hook: Webhook) -> None:
    def plans() -> int:
        return sum("RECURSIVE" in statement for statement in thread.submit(statements).result())

    with connection.cursor() as cursor:
        # The rows of other tests have been deleted, but their pages are still there.
        cursor.execute("VACUUM FULL webhooks_delivery")
    for _ in range(3):
        claim(thread, hook)
    before = plans()
    Delivery.objects.bulk_create(
        Delivery(webhook=hook, state=Delivery.DELIVERED, created_at=make.AT) for _ in range(2000)
    )
    claim(thread, hook)
    assert plans() == before + 1


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_statements_of_a_claim_are_planned_a_few_times_only(
    thread: SqlThread, hook: Webhook, is_analyzed: bool
) -> None:
    Delivery.objects.bulk_create(
        Delivery(webhook=hook, created_at=make.AT, state=Delivery.DELIVERED) for _ in range(5_000)
    )
    if is_analyzed:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def planned() -> list[tuple[str, int]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement, custom_plans FROM pg_prepared_statements")
            return list(cursor.fetchall())

    assert [claim(thread, hook) for _ in range(10)] == [1] * 10
    rows = thread.submit(planned).result()
    assert len(rows) >= 3
    # PostgreSQL does so five times before it compares that with one plan for any values.
    assert [statement for statement, custom in rows if custom > 5] == []


def test_each_pending_webhook_is_read_once_with_old_statistics(hook: Webhook) -> None:
    """Of a time when little was pending: a plan for that reads everything for each part."""

    def fill(count: int, state: str) -> None:
        of = itertools.islice(itertools.cycle(hooks), count)
        Delivery.objects.bulk_create(
            Delivery(webhook=each, state=state, created_at=make.AT) for each in of
        )

    hooks = Webhook.objects.bulk_create(
        Webhook(
            id=f"WH-100-000-{n:03d}",
            label=f"Hook {n}",
            account=hook.account,
            product=hook.product,
            object_class=hook.object_class,
            external_url=hook.external_url,
            created_at=make.AT,
        )
        for n in range(900)
    )
    fill(9_000, Delivery.DELIVERED)
    fill(30, Delivery.WAITING)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery")
    fill(870, Delivery.WAITING)
    values = {"most": 10, "now": make.AT, "share": 1, "webhooks": 1, "offset": 0, "left": 1}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {selection._DUE_ALL}", values)
        [[[plan]]] = cursor.fetchall()
    # Each entry once, and the delivery to select again; numbers are rounded for each loop.
    parts = list(parts_of(plan["Plan"]))
    read = [part for part in parts if part.get("Index Name") == "delivery_waiting"]
    assert 800 < sum(part["Actual Rows"] * part["Actual Loops"] for part in read) < 1000
    # Webhooks are looked up, also if the plan expects more of them than there are.
    assert not [part for part in parts if part["Node Type"] == "Seq Scan"]


def parts_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from parts_of(each)


def test_pooler_that_loses_prepared_statements_ends_preparing(
    thread: SqlThread, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    def lose() -> None:
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")

    assert claim(thread, hook) == claim(thread, hook) == 1
    thread.submit(lose).result()
    with caplog.at_level(logging.WARNING), pytest.raises(DatabaseError):
        claim(thread, hook)
    assert [record.name for record in caplog.records] == ["requests_queue.prepared"]
    assert claim(thread, hook) == 2
    assert thread.submit(statements).result() == []


def test_session_that_the_server_has_ended_is_replaced(thread: SqlThread, hook: Webhook) -> None:
    first = thread.submit(session).result()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [first])

    def has_ended() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [first])
            return cursor.fetchone() is None

    until(has_ended, "the session has ended")
    assert claim(thread, hook) == 1
    assert thread.submit(session).result() != first


def test_session_of_the_engine_is_used_without_a_check(thread: SqlThread, hook: Webhook) -> None:
    checks: list[int] = []

    def count_checks() -> None:
        connection.ensure_connection()
        real = connection.is_usable
        connection.is_usable = lambda: bool(checks.append(1)) or real()  # type: ignore[method-assign]

    thread.submit(count_checks).result()
    assert claim(thread, hook) == 1 and not checks
