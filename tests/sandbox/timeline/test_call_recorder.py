"""Recorded API calls in memory: each is stored once, in order, beside concurrency and errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from django.db import DataError, OperationalError, transaction

from requests_queue import clock
from sandbox.timeline import api_calls, call_storage, timeline
from sandbox.timeline.api_calls import Recorder
from sandbox.timeline.call_storage import RecordedCall
from tests.background import Background, concurrently
from tests.sandbox.recorded import call, entries, paths

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_calls_are_stored_once_and_in_order_by_concurrent_flushes(recorder: Recorder) -> None:
    each, threads = 100, 4

    def add(n: int) -> None:
        for i in range(each):
            recorder.add(call(f"/{n}/{i}"))

    def flush() -> None:
        while recorder.flush() and len(paths()) < each * threads:
            pass

    concurrently(*(partial(add, n) for n in range(threads)), *[flush] * threads)
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
    first = Background(recorder.flush)
    assert entered.wait(10)
    second = Background(recorder.flush)
    assert not second.ended.wait(0.05)
    # A reader inside a transaction would wait for one who waits for it.
    with transaction.atomic():
        assert not recorder.flush()
    release.set()
    first.result()
    second.result()


def test_call_that_cannot_be_stored_blocks_no_other() -> None:
    def store(batch: Sequence[RecordedCall]) -> None:
        if any(each.path == "/bad" for each in batch):
            raise DataError("value too long")
        call_storage.store(batch)

    recorder = Recorder(store)
    for path in ("/0", "/bad", "/1", "/2", "/bad", "/3"):
        recorder.add(call(path))
    assert recorder.flush() and paths() == ["/0", "/1", "/2", "/3"] and len(recorder) == 0


@pytest.mark.parametrize(
    "errors",
    [
        [OperationalError("server closed the connection unexpectedly")],
        [DataError("of one call"), OperationalError("server closed the connection unexpectedly")],
    ],
    ids=["of the database", "of a call and of the database"],
)
def test_calls_are_kept_in_order_while_the_database_is_unavailable(
    errors: list[Exception],
) -> None:
    left = list(errors)

    def store(batch: Sequence[RecordedCall]) -> None:
        if left:
            raise left.pop(0)
        call_storage.store(batch)

    recorder = Recorder(store)
    for n in range(5):
        recorder.add(call(f"/{n}"))
    assert not recorder.flush() and len(recorder) == 5
    recorder.add(call("/5"))
    assert recorder.flush() and paths() == [f"/{n}" for n in range(6)]


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


def test_calls_are_stored_for_a_wait_only_if_entries_are_withheld(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    monkeypatch.setattr(api_calls, "_recorder", recorder)
    recorder.add(call("/read"))
    api_calls.complete()
    assert paths() == []
    opened = timeline.open_call(clock.now(), datetime.now(UTC), {})
    recorder.add(call("/write", opened=[opened]))
    before = timeline.present()
    api_calls.complete()
    assert paths() == ["/read", "/write"]
    assert before == (timeline.Cursor(), True) and timeline.present() == (timeline.now(), False)


def test_nothing_is_stored_inside_a_transaction(recorder: Recorder) -> None:
    recorder.add(call("/0"))
    with transaction.atomic():
        assert not recorder.flush() and paths() == []
    assert recorder.flush() and paths() == ["/0"] and len(recorder) == 0


def test_paused_recorder_keeps_what_arrives(recorder: Recorder) -> None:
    recorder.add(call("/0"))
    with recorder.paused():
        assert paths() == ["/0"]
        recorder.add(call("/1"))
        flushing = Background(recorder.flush)
        assert not flushing.ended.wait(0.05) and paths() == ["/0"]
    flushing.result()
    assert paths() == ["/0", "/1"]
