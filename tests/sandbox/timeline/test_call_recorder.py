"""Recorded API calls in memory: each is stored once, in order, beside concurrency and errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import DataError, OperationalError, connection, transaction

from requests_queue import clock
from sandbox.timeline import api_calls, call_storage, timeline
from sandbox.timeline.api_calls import Recorder
from sandbox.timeline.call_storage import RecordedCall
from tests.sandbox.recorded import call, entries, paths

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_calls_are_stored_once_and_in_order_by_concurrent_flushes(recorder: Recorder) -> None:
    each, threads = 100, 4
    begin = threading.Barrier(2 * threads)

    def add(n: int) -> None:
        begin.wait()
        for i in range(each):
            recorder.add(call(f"/{n}/{i}"))

    def flush(n: int) -> None:
        begin.wait()
        try:
            while recorder.flush() and len(paths()) < each * threads:
                pass
        finally:
            connection.close()

    with ThreadPoolExecutor(2 * threads) as pool:
        list(
            pool.map(
                lambda job: job[0](job[1]), [(f, n) for n in range(threads) for f in (add, flush)]
            )
        )
    assert recorder.flush()
    rows = paths()
    assert sorted(rows) == sorted(f"/{n}/{i}" for n in range(threads) for i in range(each))
    for n in range(threads):
        own = [path for path in rows if path.startswith(f"/{n}/")]
        assert own == [f"/{n}/{i}" for i in range(each)]
    assert len(entries()) == each * threads


def test_flush_waits_for_one_in_progress() -> None:
    entered, release = threading.Event(), threading.Event()

    def store(batch: Sequence[RecordedCall]) -> None:
        entered.set()
        assert release.wait(10)

    recorder = Recorder(store)
    recorder.add(call())
    first = threading.Thread(target=recorder.flush)
    first.start()
    assert entered.wait(10)
    done = threading.Event()
    second = threading.Thread(target=lambda: (recorder.flush(), done.set()))
    second.start()
    assert not done.wait(0.05)
    # A reader inside a transaction would wait for one who waits for it.
    with transaction.atomic():
        assert not recorder.flush()
    release.set()
    assert done.wait(10)
    first.join()
    second.join()


def test_unavailable_database_loses_nothing(recorder: Recorder) -> None:
    fails = [True]

    def store(batch: Sequence[RecordedCall]) -> None:
        if fails:
            raise OperationalError("server closed the connection unexpectedly")
        call_storage.store(batch)

    recorder = Recorder(store)
    for n in range(3):
        recorder.add(call(f"/{n}"))
    assert not recorder.flush() and len(recorder) == 3
    recorder.add(call("/3"))
    fails.clear()
    assert recorder.flush() and paths() == ["/0", "/1", "/2", "/3"]


def test_call_that_cannot_be_stored_blocks_no_other() -> None:
    def store(batch: Sequence[RecordedCall]) -> None:
        if any(each.path == "/bad" for each in batch):
            raise DataError("value too long")
        call_storage.store(batch)

    recorder = Recorder(store)
    for path in ("/0", "/bad", "/1", "/2", "/bad", "/3"):
        recorder.add(call(path))
    assert recorder.flush() and paths() == ["/0", "/1", "/2", "/3"] and len(recorder) == 0


def test_order_is_kept_by_errors_of_calls_and_of_the_database() -> None:
    errors: list[Exception] = [
        DataError("of one call"),
        OperationalError("server closed the connection unexpectedly"),
    ]

    def store(batch: Sequence[RecordedCall]) -> None:
        if errors:
            raise errors.pop(0)
        call_storage.store(batch)

    recorder = Recorder(store)
    for n in range(5):
        recorder.add(call(f"/{n}"))
    assert not recorder.flush() and len(recorder) == 5
    assert recorder.flush() and paths() == [f"/{n}" for n in range(5)]


def test_too_many_calls_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(api_calls, "MAX_CALLS", 5)
    for n in range(9):
        recorder.add(call(f"/{n}"))
    assert recorder.flush() and paths() == [f"/{n}" for n in range(5)]
    monkeypatch.setattr(api_calls, "MAX_BYTES", 10_000)
    for n in range(9):
        recorder.add(call(f"/large/{n}", request_body=b"x" * 4000))
    assert recorder.flush() and paths()[5:] == ["/large/0", "/large/1"]
    # What has been stored makes room.
    recorder.add(call("/again"))
    assert len(recorder) == 1


def refusing(batch: Sequence[RecordedCall]) -> None:
    raise DataError("value too long")


@pytest.mark.parametrize(
    ("limit", "drop"),
    [
        (0, Recorder.add),
        (0, lambda recorder, dropped: recorder.put_back([dropped])),
        (9, Recorder.add),
    ],
    ids=["full", "full meanwhile", "cannot be stored"],
)
def test_call_that_is_not_stored_leaves_no_open_entry(
    monkeypatch: pytest.MonkeyPatch, limit: int, drop: Callable[[Recorder, RecordedCall], None]
) -> None:
    recorder = Recorder(refusing)
    monkeypatch.setattr(api_calls, "MAX_CALLS", limit)
    opened = [timeline.open_call(clock.now(), datetime.now(UTC), {}) for _ in range(2)]
    drop(recorder, call(opened=opened))
    assert recorder.arrived.is_set()

    def unavailable(ids: Sequence[int]) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(timeline, "remove", unavailable)
        recorder.flush()
    assert timeline.is_withheld()
    recorder.flush()
    assert entries() == [] and not timeline.is_withheld()


def test_nothing_is_stored_inside_a_transaction(recorder: Recorder) -> None:
    recorder.add(call("/0"))
    with transaction.atomic():
        assert not recorder.flush() and paths() == []
    assert recorder.flush() and paths() == ["/0"] and len(recorder) == 0


def test_paused_recorder_keeps_what_arrives(recorder: Recorder) -> None:
    recorder.add(call("/0"))
    flushed = threading.Event()

    def flush() -> None:
        recorder.flush()
        connection.close()
        flushed.set()

    with recorder.paused():
        assert paths() == ["/0"]
        recorder.add(call("/1"))
        thread = threading.Thread(target=flush)
        thread.start()
        assert not flushed.wait(0.05) and paths() == ["/0"]
    thread.join(10)
    assert paths() == ["/0", "/1"]
