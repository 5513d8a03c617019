"""API calls in flight: counted at the socket, and shared with other processes by a row."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from requests_queue import heartbeats
from requests_queue.db.sql import DatabaseTime
from sandbox.models import ProcessActivity
from sandbox.timeline import activity
from sandbox.timeline.activity import Activity, BegunCall
from tests.background import concurrently
from tests.engines import until
from tests.runtime.serving import App, connect, read, serving

CALL = "/public/v1/requests/PR-1/validate"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Activity:
    """The activity of a process that has served nothing yet."""
    fresh = Activity()
    monkeypatch.setattr(activity, "_activity", fresh)
    return fresh


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/public/v1", True),
        ("/public/v1/requests", True),
        ("/public/v10/requests", False),
        ("/public", False),
        ("/sandbox/clock", False),
        ("/", False),
    ],
)
def test_calls_of_connect_s_api_count(path: str, counts: bool) -> None:
    assert activity.is_api(path) is counts


# At the socket.


def send(line: Any, path: str, *headers: str) -> None:
    head = "".join(f"{each}\r\n" for each in ("Host: localhost", *headers))
    line.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())


def test_call_counts_until_its_last_byte_is_sent(own: Activity, settings: Any) -> None:
    app = App()
    with serving(app, settings) as url, connect(url) as line:
        assert activity.in_flight() == 0
        assert activity.all_processes() == activity.Totals(frozenset(), None)
        send(line, CALL)
        app.arrived.get(timeout=10)
        assert activity.in_flight() == 1 and activity.all_processes().idle is None
        app.release.set()
        assert read(line)[0] == 200
        until(lambda: activity.in_flight() == 0, "the end of the call")
        totals = activity.all_processes()
        assert totals.in_flight == 0 and totals.idle is not None and 0 <= totals.idle < 10


def test_call_counts_from_its_head_until_the_client_leaves(own: Activity, settings: Any) -> None:
    app = App()
    with serving(app, settings) as url, connect(url) as line:
        line.sendall(
            b"POST /public/v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        )
        until(lambda: activity.in_flight() == 1, "the head")
        assert app.arrived.empty()
        line.close()
        until(lambda: activity.in_flight() == 0, "the end of the call")


def test_other_paths_and_calls_of_a_test_do_not_count(own: Activity, settings: Any) -> None:
    app = App()
    with serving(app, settings) as url, connect(url) as one, connect(url) as two:
        send(one, CALL, "x-sandbox-actor: TEST")
        send(two, "/forms/validate")
        assert {app.arrived.get(timeout=10), app.arrived.get(timeout=10)} == {
            CALL,
            "/forms/validate",
        }
        assert activity.in_flight() == 0
        app.release.set()
        assert read(one)[0] == read(two)[0] == 200
        assert activity.all_processes().idle is None


def test_failing_application_ends_its_call(own: Activity, settings: Any) -> None:
    def failing(environ: Any, start: Any) -> Any:
        raise RuntimeError("on purpose")

    with serving(failing, settings) as url, connect(url) as line:
        send(line, "/public/v1/requests")
        assert read(line)[0] == 500
        until(lambda: activity.in_flight() == 0, "the end of the call")


# Several processes.

shared = pytest.mark.django_db(transaction=True)


@pytest.fixture
def several(settings: Any, monkeypatch: pytest.MonkeyPatch, own: Activity) -> Iterator[Activity]:
    """The activity of one of several processes; its thread ends with the test."""
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    yield own
    monkeypatch.setattr(activity, "IDLE", 0.0)
    with own._changed:
        own._is_dirty = not own._calls
        own._changed.notify_all()
        thread = own._thread
    if thread is not None:
        thread.join(10)
        assert not thread.is_alive()


def row() -> ProcessActivity:
    return ProcessActivity.objects.get()


def begun(several: Activity) -> BegunCall:
    """Begin a call, and wait for the row."""
    call = several.begin()
    assert isinstance(call.published, Future)
    call.published.result(10)
    return call


@shared
def test_row_is_written_before_a_busy_period_is_served(several: Activity) -> None:
    first = begun(several)
    assert (row().calls, row().last_end) == ([first.number], None)
    second = several.begin()
    assert second.published is None
    until(lambda: row().calls == [first.number, second.number], "both calls")
    several.end(first)
    several.end(second)
    until(lambda: row().calls == [] and row().last_end, "the end")
    again = begun(several)
    assert row().calls == [again.number]
    several.end(again)


@shared
def test_call_waits_for_its_row_at_the_socket(several: Activity, settings: Any) -> None:
    app = App()
    seen: list[int] = []

    def inside(path: str) -> None:
        seen.append(len(row().calls))
        connection.close()

    app.inside = inside
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/public/v1/requests")
        assert read(line)[0] == 200
    assert seen == [1]


@shared
def test_many_calls_at_once_are_counted_in_the_row(several: Activity) -> None:
    def call() -> None:
        for _ in range(20):
            call = several.begin()
            if call.published:
                call.published.result(10)
            several.end(call)

    concurrently(*[call] * 20)
    until(lambda: row().calls == [], "the end of all calls")
    assert activity.in_flight() == 0


@shared
def test_unavailable_database_delays_no_call(
    several: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away = True
    monkeypatch.setattr(activity, "_RETRY", 0.01)
    monkeypatch.setattr(activity, "_write", lambda totals: not is_away)
    first, second = several.begin(), several.begin()
    assert first.published and second.published
    first.published.result(10)
    second.published.result(10)
    is_away = False
    several.end(first)
    several.end(second)


@shared
def test_calls_of_all_live_processes_are_added(several: Activity) -> None:
    call = begun(several)
    now = DatabaseTime()
    for name, calls, age, last in (
        ("other", [7, 8], 0, 7),
        ("idle", [], 3600, 3),
        ("dead", [1, 2, 3], heartbeats.EXPIRES_AFTER + 1, None),
    ):
        ProcessActivity.objects.create(
            process=name,
            calls=calls,
            at=now - age,
            last_end=None if last is None else now - last,
        )
    totals = activity.all_processes()
    assert totals.in_flight == 3 and totals.idle is not None and 3 <= totals.idle < 6
    several.end(call)
    assert activity.all_processes().calls == {("other", 7), ("other", 8)}


@shared
def test_long_call_renews_its_row(several: Activity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "INTERVAL", 0.01)
    call = begun(several)
    at = row().at
    until(lambda: row().at > at + 0.02, "another write")
    several.end(call)


@shared
def test_rows_of_former_processes_are_deleted(several: Activity) -> None:
    ProcessActivity.objects.create(process="gone", calls=[1], at=DatabaseTime())
    ProcessActivity.objects.update(at=F("at") - 4000)
    call = begun(several)
    assert row().process != "gone"
    several.end(call)
