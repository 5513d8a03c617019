"""Places of API calls in the timeline: before what changes later, though they are stored later."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import DataError, OperationalError, connection, transaction

from sandbox import api_calls, call_storage, late_entries, settling, timeline
from sandbox.call_recorder import Recorder
from sandbox.call_storage import RecordedCall
from sandbox.models import TimelineEntry
from sandbox.timeline import Cursor, Entry
from tests.background import Background
from tests.sandbox.recorded import call

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "sqlite", reason="on PostgreSQL calls are stored before requests"
    ),
]


class Store:
    """Stores calls unless it has an error to raise; stops at `gate` if there is one."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, batch: Sequence[RecordedCall]) -> None:
        self.entered.set()
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        call_storage.store(batch)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def recorder(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder(store)
    monkeypatch.setattr(api_calls, "_recorder", recorder)
    yield recorder
    recorder.clear()


def change(name: str) -> None:
    timeline.append([Entry(timeline.CHANGE, datetime.now(UTC), object=name)])


def names(since: Cursor | None = None, until: Cursor | None = None) -> list[str]:
    """The paths and objects of the entries that can be read, in order."""
    rows = timeline.between(since or Cursor(), until or timeline.now())
    return [row.data.get("path") or row.object_id or "" for row in rows]


def test_calls_stored_later_are_before_the_changes_after_them(recorder: Recorder) -> None:
    change("first")
    recorder.add(call("/1"))
    recorder.add(call("/2"))
    change("second")
    recorder.add(call("/3"))
    with transaction.atomic():
        change("third")
        recorder.add(call("/4"))
        change("fourth")
    recorder.add(call("/5"))
    assert TimelineEntry.objects.count() == 4
    assert recorder.flush() and not late_entries.are_expected()
    change("last")
    assert names() == ["first", "/1", "/2", "second", "/3", "third", "/4", "fourth", "/5", "last"]


def test_change_that_is_rolled_back_leaves_the_order_of_the_next_one(recorder: Recorder) -> None:
    recorder.add(call("/1"))
    with pytest.raises(RuntimeError), transaction.atomic():
        change("rolled back")
        raise RuntimeError
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            change("savepoint")
            raise RuntimeError
        change("second")
    assert recorder.flush()
    assert names() == ["/1", "second"]


def test_id_of_a_rolled_back_change_is_not_taken_from_a_later_entry(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.call_recorder._BATCH", 1)
    for n in range(3):
        recorder.add(call(f"/{n}"))
    with pytest.raises(RuntimeError), transaction.atomic():
        change("rolled back")
        raise RuntimeError
    # The first batch gets an id that the second call seems to have.
    assert recorder.flush()
    assert names() == ["/0", "/1", "/2"]


def test_flush_that_is_rolled_back_keeps_the_place(recorder: Recorder) -> None:
    recorder.add(call("/1"))
    change("second")
    with pytest.raises(RuntimeError), transaction.atomic():
        assert recorder.flush()
        raise RuntimeError
    change("third")
    assert recorder.flush() and names() == ["/1", "second", "third"]


def test_reader_stores_the_calls_that_its_entries_follow(recorder: Recorder) -> None:
    recorder.add(call("/1"))
    assert names() == [] and len(recorder) == 1
    change("second")
    assert names() == ["/1", "second"] and len(recorder) == 0


def test_entries_are_withheld_while_the_calls_before_them_cannot_be_stored(
    recorder: Recorder, store: Store
) -> None:
    store.error = OperationalError("server closed the connection unexpectedly")
    change("first")
    recorder.add(call("/1"))
    assert not timeline.is_withheld()
    change("second")
    seen = timeline.now()
    assert names(until=seen) == ["first"] and timeline.is_withheld()
    store.error = None
    assert names(seen) == ["/1", "second"] and not timeline.is_withheld()


def test_call_that_is_never_stored_withholds_nothing(recorder: Recorder, store: Store) -> None:
    store.error = DataError("value too long")
    recorder.add(call("/1"))
    change("second")
    assert names() == ["second"] and not timeline.is_withheld()


def test_reader_does_not_wait_for_the_thread_that_stores(recorder: Recorder, store: Store) -> None:
    store.gate.clear()
    recorder.add(call("/1"))
    storing = Background(recorder.flush)
    assert store.entered.wait(20)
    change("second")
    seen = timeline.now()
    assert names(until=seen) == [] and timeline.is_withheld()
    store.gate.set()
    assert storing.result()
    assert names(seen) == ["/1", "second"]


def test_settle_times_read_a_late_entry_once(recorder: Recorder, store: Store) -> None:
    store.error = OperationalError("server closed the connection unexpectedly")
    state = settling._State()
    fed: list[int] = []
    state._feed = lambda rows: fed.extend(row.pk for row in rows)  # type: ignore[method-assign]
    recorder.add(call("/1"))
    timeline.append([Entry(timeline.CLOCK, datetime.now(UTC), data={"action": "next"})])
    state.catch_up()
    store.error = None
    assert recorder.flush()
    state.catch_up()
    state.catch_up()
    assert sorted(fed) == sorted(TimelineEntry.objects.values_list("pk", flat=True))


def test_order_holds_beside_concurrent_changes_rollbacks_and_readers(recorder: Recorder) -> None:
    threads, each = 4, 25
    seen: list[str] = []

    def act(thread: int) -> None:
        chance = random.Random(thread)
        try:
            for n in range(each):
                recorder.add(call(f"{thread}/{2 * n}"))
                try:
                    with transaction.atomic():
                        change(f"{thread}/{2 * n + 1}")
                        if chance.random() < 0.3:
                            raise RuntimeError
                except RuntimeError:
                    pass
                if chance.random() < 0.3:
                    recorder.flush()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        acting = [pool.submit(act, thread) for thread in range(threads)]
        position = Cursor()
        while True:
            is_last = all(each.done() for each in acting)
            until = timeline.now()
            seen += names(position, until)
            position = until
            if is_last:
                break
        for future in acting:
            future.result()
    assert recorder.flush()
    seen += names(position)
    assert seen == names()
    for thread in range(threads):
        own = [int(name.partition("/")[2]) for name in seen if name.startswith(f"{thread}/")]
        assert own == sorted(set(own)) and set(range(0, 2 * each, 2)) <= set(own)
