"""The lock by which work and a reset or restore of another process wait for each other.

On PostgreSQL only: with SQLite there is one process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from requests_queue.db import background_work
from requests_queue.errors import Refused
from sandbox import error_codes
from sandbox.models import ApiCall
from sandbox.timeline import api_calls, call_storage
from sandbox.world import snapshots, tables
from sandbox.world.snapshot_storage import Exists, Schemas, Snapshot
from tests.api import Caller
from tests.background import Background
from tests.engines import until
from tests.sandbox import worlds
from tests.sandbox.replacing import replaced
from webhooks.delivery import wakeup

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def work(saved: Any) -> Iterator[Callable[[], None]]:
    """Work of another process that is going on; a function that lets it end."""
    begun, release = threading.Event(), threading.Event()

    def run() -> None:
        with background_work._shared_lock(), background_work._shared_lock():
            begun.set()
            release.wait(30)

    other = Background(run)
    assert begun.wait(10)

    def end() -> None:
        release.set()
        other.result()

    yield end
    end()


def test_replacement_waits_for_work_elsewhere(
    work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LOCK_WAIT", 0.1)
    with pytest.raises(OperationalError):
        replaced()
    assert background_work.generation() == 0
    monkeypatch.setattr(tables, "LOCK_WAIT", 30.0)
    replacement = Background(replaced)
    work()
    replacement.result()
    assert background_work.generation() == 1


@pytest.fixture
def during_restores(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], Any]]:
    """Functions, each called once when a restore has read some tables of its snapshot."""
    functions: list[Callable[[], Any]] = []
    remember_ids = tables._remember_ids

    def remember_and_call(schema: str | None) -> None:
        remember_ids(schema)
        while functions:
            functions.pop()()

    monkeypatch.setattr(tables, "_remember_ids", remember_and_call)
    return functions


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        [count] = cursor.fetchone()
    return bool(count)


def waiting(work: Callable[[], Any]) -> Background:
    """Begin work in a thread, and return when it waits for a lock or has ended."""
    begun = Background(work)
    until(lambda: begun.ended.is_set() or is_waiting_for_a_lock(), "a lock")
    return begun


@pytest.mark.parametrize(
    "change",
    [
        lambda: snapshots.delete("mine"),
        lambda: tables.in_own_thread(lambda: snapshots._save("mine", True)),
    ],
    ids=["delete", "save"],
)
def test_change_of_a_snapshot_waits_for_a_restore_of_it(
    saved: Any, during_restores: list[Any], change: Callable[[], Any]
) -> None:
    before = worlds.contents()
    snapshots.save("mine", patience=0)
    begun: list[Background] = []
    during_restores.append(lambda: begun.append(waiting(change)))
    replaced("mine")
    begun[0].result()
    assert worlds.differing(before, worlds.contents()) == {}


def test_second_of_two_snapshots_of_a_name_may_be_tried_again(saved: Any) -> None:
    """The first is the reason why the next try is refused."""

    def save(fill: Callable[[str], None] = lambda schema: None) -> None:
        Schemas().create(Snapshot("mine"), fill, replace=False)

    second: list[Background] = []
    save(lambda schema: second.append(waiting(save)))
    with pytest.raises(Refused) as refused:
        second[0].result()
    assert (refused.value.status, refused.value.code) == (409, "SNP_005")
    assert error_codes.CODES["SNP_005"].is_retryable
    with pytest.raises(Exists):
        save()


def test_lost_connection_ends_the_lock(saved: Any, caplog: pytest.LogCaptureFixture) -> None:
    with background_work.running():
        connection.connection.close()
    assert "has lost its connection" in caplog.text
    replaced()
    assert background_work.generation() == 1


def test_calls_are_stored_before_or_after_a_replacement_never_during_it(
    saved: Any, vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "is_broker_in_memory", lambda: False)
    vendor.get("/requests")
    stored, insert = threading.Event(), call_storage._insert

    def insert_slowly(rows: Any) -> None:
        insert(rows)
        # The replacement waits for the commit, and then deletes what was inserted.
        replacement.append(Background(replaced))
        assert not replacement[0].ended.wait(0.1)
        stored.set()

    replacement: list[Background] = []
    monkeypatch.setattr(call_storage, "_insert", insert_slowly)
    api_calls.flush()
    assert stored.is_set()
    replacement[0].result()
    assert not ApiCall.objects.exists()
