"""`/healthz` and `/readyz` at the socket, and what counts as missing."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from connect_sim import health
from connect_sim.health import DATABASE, ENGINE, MIGRATIONS, Parts
from requests_queue import heartbeats
from tests.runtime.serving import App, ask, connect, is_closed, read, serving, stoppable


@dataclass
class Checks:
    """What each check returns, in order and then the last one again; a check can be held."""

    results: list[list[str]] = field(default_factory=lambda: [[]])
    count: int = 0
    begun: queue.Queue[int] = field(default_factory=queue.Queue)
    release: threading.Event = field(default_factory=threading.Event)
    is_held: bool = False

    def __call__(self) -> list[str]:
        self.count += 1
        self.begun.put(self.count)
        if self.is_held:
            assert self.release.wait(30)
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    made = Checks()
    monkeypatch.setattr(health, "Parts", lambda: made)
    yield made
    made.release.set()


@pytest.fixture
def url(checks: Checks, settings: Any) -> Iterator[str]:
    with serving(App(), settings) as url:
        yield url


def sent(target: str, method: str = "GET", host: str = "10.1.2.3") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def call(url: str, target: str, method: str = "GET") -> tuple[int, Any]:
    status, headers, body = ask(url, sent(target, method), method)
    assert headers["cache-control"] == "no-store"
    return status, json.loads(body) if body else None


# --- the endpoints ------------------------------------------------------------------------------


def test_process_answers_while_all_threads_are_busy(checks: Checks, settings: Any) -> None:
    held = threading.Event()
    app = App(inside=lambda path: held.wait(30))
    with serving(app, settings, threads=1) as url, connect(url) as busy:
        busy.sendall(sent("/", host="127.0.0.1"))
        try:
            assert call(url, "/healthz") == (200, {"status": "ok"})
            assert call(url, "/readyz?wait=5") == (200, {"ready": True, "missing": []})
        finally:
            held.set()


@pytest.mark.parametrize(
    ("query", "results", "missing", "counts"),
    [
        ("", [[DATABASE]], ["database"], {1}),
        ("?wait=30", [[DATABASE], [MIGRATIONS], [ENGINE], []], [], {4}),
        ("?wait=0.3", [[ENGINE]], ["engine"], {2, 3, 4}),
    ],
    ids=["without a wait", "until nothing is missing", "until its seconds are over"],
)
def test_missing_parts_are_named_at_the_end_of_the_wait(
    url: str,
    checks: Checks,
    query: str,
    results: list[list[str]],
    missing: list[str],
    counts: set[int],
) -> None:
    checks.results = results
    status = 503 if missing else 200
    assert call(url, f"/readyz{query}") == (status, {"ready": not missing, "missing": missing})
    assert checks.count in counts


def test_check_that_hangs_means_the_database(
    url: str, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_CHECK_LIMIT", 0.1)
    checks.is_held = True
    assert call(url, "/readyz") == (503, {"ready": False, "missing": ["database"]})


def test_waits_share_one_check(url: str, checks: Checks) -> None:
    checks.is_held = True
    with ThreadPoolExecutor(20) as pool:
        results = [pool.submit(call, url, "/readyz?wait=20") for _ in range(20)]
        checks.begun.get(timeout=10)
        checks.release.set()
        assert [each.result() for each in results] == [(200, {"ready": True, "missing": []})] * 20
    assert checks.count < 20


def test_waits_beyond_the_limit_end_at_once(
    url: str, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_WAITS", 1)
    checks.results = [[ENGINE]]
    with connect(url) as first:
        first.sendall(sent("/readyz?wait=30"))
        checks.begun.get(timeout=10)
        assert call(url, "/readyz?wait=30")[0] == 503
        checks.results = [[]]
        assert read(first)[0] == 200


def test_wait_of_a_client_that_left_ends(url: str, checks: Checks) -> None:
    checks.results = [[ENGINE]]
    with connect(url) as line:
        line.sendall(sent("/readyz?wait=300"))
        checks.begun.get(timeout=10)
    # It would check every 0.2 s, for ever.
    with pytest.raises(queue.Empty):
        while True:
            checks.begun.get(timeout=0.5)


def test_client_that_half_closes_gets_the_state_of_that_moment(url: str, checks: Checks) -> None:
    checks.results = [[ENGINE]]
    with connect(url) as line:
        line.sendall(sent("/readyz?wait=300"))
        checks.begun.get(timeout=10)
        line.shutdown(socket.SHUT_WR)
        assert read(line)[0] == 503


def test_stop_ends_waits(checks: Checks, settings: Any) -> None:
    checks.results = [[ENGINE]]
    with stoppable(App(), settings) as (url, server), connect(url) as line:
        line.sendall(sent("/readyz?wait=300"))
        checks.begun.get(timeout=10)
        server.stop()
        status, _, body = read(line)
        assert (status, json.loads(body)["missing"]) == (503, ["server"])
        assert is_closed(line)


@pytest.mark.parametrize(
    "query",
    ["wait=", "wait", "wait=x", "wait=-1", "wait=301", "wait=1e2", "wait=nan", "wait=inf",
     "wait=+1", "wait=1.", "wait=%201", "wait=1&wait=1", "wait=%D9%A1", "wait=" + "9" * 500,
     "wait=true", "wait=%00", "wait=30s"],
)  # fmt: skip
def test_invalid_wait_is_400(url: str, checks: Checks, query: str) -> None:
    status, content = call(url, f"/readyz?{query}")
    assert (status, content["error_code"]) == (400, "VAL_001")
    [message] = content["errors"]
    assert message.startswith("wait: ")
    assert checks.count == 0


@pytest.mark.parametrize("query", ["", "wait=0", "wait=300", "wait=0.5", "other=1", "Wait=x"])
def test_valid_wait_is_accepted(url: str, query: str) -> None:
    assert call(url, f"/readyz?{query}")[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_get_and_head_of_the_path_itself(url: str, path: str) -> None:
    assert call(url, path, "HEAD") == (200, None)
    assert call(url, f"{path}/")[0] == 200
    assert call(url, f"{path}/x")[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert call(url, path, method)[0] == 405


# --- what is missing ----------------------------------------------------------------------------


@pytest.fixture
def migrated(transactional_db: None) -> None:
    heartbeats.record(heartbeats.WORKER, now=True)


@pytest.mark.django_db(transaction=True)
def test_engine_needs_a_heartbeat_without_a_problem(migrated: None) -> None:
    assert Parts()() == []
    heartbeats.record(heartbeats.WORKER, "The database is full.", now=True)
    assert Parts()() == [ENGINE]
    heartbeats.delete(heartbeats.WORKER)
    assert Parts()() == [ENGINE]


@pytest.mark.django_db(transaction=True)
def test_migration_that_is_not_applied_is_missing_until_it_is(migrated: None) -> None:
    recorder = MigrationRecorder(connection)
    parts = Parts()
    last = sorted(recorder.applied_migrations())[-1]
    recorder.record_unapplied(*last)
    try:
        assert parts() == [MIGRATIONS]
    finally:
        recorder.record_applied(*last)
    assert parts() == []


@pytest.mark.django_db(transaction=True)
def test_database_that_fails_later_is_missing(
    migrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts()
    assert parts() == []

    def fail() -> None:
        raise OperationalError("password=secret host=10.0.0.1")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "ensure_connection", fail)
        assert parts() == [DATABASE]
    assert parts() == []
