"""API calls are stored by a prepared statement of the web server's thread, on PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from requests_queue import prepared
from sandbox.call_recorder import Recorder
from tests.sandbox.recorded import call, paths

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """A thread that prepares its statements, as the one that stores calls."""
    monkeypatch.setattr(prepared, "_is_refused", False)
    with ThreadPoolExecutor(1, initializer=prepared.enable) as started:
        yield started
        started.submit(connections.close_all).result()


def statements() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [row[0] for row in cursor.fetchall()]


def lose_statements() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")


def test_batches_of_any_size_are_stored_by_one_statement(thread: ThreadPoolExecutor) -> None:
    recorder = Recorder()
    sent = []
    for count in (1, 2, 7):
        for _ in range(count):
            path = f"/public/v1/requests/PR-0000-0000-{len(sent):04}-001"
            sent.append(path)
            body = '{"é": "\\"\\\\ \\u0000"}'.encode()
            recorder.add(call(path, account="VA-000-000", response_body=body))
        assert thread.submit(recorder.flush).result()
    assert paths() == sent
    texts = thread.submit(statements).result()
    assert sorted(" ".join(text.split()[:3]) for text in texts) == [
        "INSERT INTO sandbox_timelineentry",
        'SELECT "offset", frozen_at,',
        "SELECT e.object_id, w.account_id,",
        "SELECT recent.account_id, l.webhook_id,",
        "WITH call AS",
    ]


def test_calls_survive_a_pooler_that_loses_the_statement(
    thread: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    recorder.add(call("/public/v1/requests/1"))
    assert thread.submit(recorder.flush).result()
    thread.submit(lose_statements).result()
    recorder.add(call("/public/v1/requests/2"))
    with caplog.at_level(logging.WARNING):
        assert not thread.submit(recorder.flush).result()
    assert len(recorder) == 1 and "pooler" in caplog.text
    assert thread.submit(recorder.flush).result()
    assert paths() == ["/public/v1/requests/1", "/public/v1/requests/2"]
    assert thread.submit(statements).result() == []
