"""The timeline: its order and completeness for a reader that follows cursors, and its API."""

from __future__ import annotations

import random
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from connect_sim.cli import observing
from requests_queue import clock
from sandbox.models import TimelineEntry
from sandbox.timeline import observer, timeline
from sandbox.timeline.timeline import Cursor, Entry
from tests import make
from tests.api import Caller
from tests.background import Background
from tests.processes import ROOT, environment, manage
from tests.pruned import prune_all
from tests.sandbox.calling import catalog, client

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


def write(*names: str, kind: str = timeline.CLOCK, **about: Any) -> None:
    """Write entries in a transaction of their own."""
    with transaction.atomic():
        timeline.append([Entry(kind, clock.now(), data={"name": name}, **about) for name in names])


def follow(since: Cursor) -> tuple[list[str], Cursor]:
    """Return the names of the entries after a cursor, and the cursor to continue from."""
    until = timeline.now()
    return [row.data["name"] for row in timeline.between(since, until)], max(since, until)


def database_url() -> str:
    """Return the URL of the test's database, for other processes."""
    given = connection.settings_dict
    if connection.vendor == "postgresql":
        return f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"
    return f"sqlite:///{given['NAME']}"


def test_entries_are_read_in_order_and_once() -> None:
    start = timeline.now()
    write("a", "b")
    names, cursor = follow(start)
    assert names == ["a", "b"]
    write("c")
    assert follow(cursor)[0] == ["c"]
    assert follow(start)[0] == ["a", "b", "c"]
    assert follow(follow(cursor)[1]) == ([], timeline.now())


def test_reader_beside_concurrent_writers_sees_everything_once() -> None:
    start = timeline.now()
    writers, each = 4, 15
    barrier = threading.Barrier(writers)

    def work(number: int) -> None:
        dice = random.Random(number)
        barrier.wait()
        for n in range(each):
            with transaction.atomic():
                write(f"{number}.{n}")
                threading.Event().wait(dice.random() * 0.004)

    running = [Background(partial(work, number)) for number in range(writers)]
    seen: list[str] = []
    cursors = [start]
    while not all(writer.ended.is_set() for writer in running):
        names, cursor = follow(cursors[-1])
        seen += names
        cursors.append(cursor)
    seen += follow(cursors[-1])[0]
    assert cursors == sorted(cursors)
    assert seen == follow(start)[0]
    assert sorted(seen) == sorted(f"{w}.{n}" for w in range(writers) for n in range(each))
    for number in range(writers):
        own = [name for name in seen if name.startswith(f"{number}.")]
        assert own == [f"{number}.{n}" for n in range(each)]


def test_waiting_thread_is_woken_by_a_commit() -> None:
    seen = observer.count()
    waiting = Background(lambda: observer.wait(seen, 10))
    with transaction.atomic():
        write("x")
        assert observer.count() == seen
    assert waiting.result() != seen


_WAIT = """
import time
from sandbox.timeline import observer
seen = observer.wait(observer.count(), 20)
# What the listener announces when it starts is read.
while (later := observer.wait(seen, 0.3)) != seen:
    seen = later
print("ready", flush=True)
began = time.monotonic()
print(observer.wait(seen, 20) != seen, time.monotonic() - began < 10, flush=True)
"""


def test_commit_wakes_a_thread_of_another_process(tmp_path: Path, settings: Any) -> None:
    # Other processes may write, since the broker is not in memory; it is never connected to.
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"
    broker = settings.CELERY_BROKER_URL
    env = environment(tmp_path, DATABASE_URL=database_url(), CELERY_BROKER_URL=broker)
    with subprocess.Popen(
        manage("shell", "-v0", "-c", _WAIT), env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        write("a")
        assert child.stdout.readline() == "True True\n"


def test_rollback_wakes_nobody() -> None:
    seen = observer.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write("x")
        raise ZeroDivisionError
    assert observer.wait(seen, 0) == seen


def test_last_entries_before_a_cursor() -> None:
    write("a", "b", "c")
    cursor = timeline.now()
    write("d")
    assert [row.data["name"] for row in timeline.newest(Cursor(), cursor)[:2]] == ["c", "b"]


def test_old_entries_are_pruned_and_cursors_stay_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    write("old")
    cursor = timeline.now()
    past = datetime.now(UTC) - timedelta(days=settings.SIM_KEEP_DAYS, minutes=1)
    TimelineEntry.objects.update(real_at=past)
    write("new")
    assert prune_all()["timeline entries"] == 1
    assert follow(Cursor())[0] == follow(cursor)[0] == ["new"]
    monkeypatch.setattr(timeline, "KEEP", 1)
    write("newest")
    assert prune_all()["timeline entries"] == 1
    assert follow(cursor)[0] == ["newest"]


def get(caller: Caller, query: str) -> Any:
    response = caller.get(f"/sandbox/timeline{query}")
    assert response.status == 200, response
    return response.json


def test_pages_of_the_api_continue_from_the_cursor(client: Caller) -> None:
    start = client.get("/sandbox/cursor").json["cursor"]
    write(*"abcde")
    names: list[str] = []
    cursor = start
    for size in (2, 2, 1, 0):
        page = get(client, f"?since={cursor}&limit=2")
        assert len(page["entries"]) == size
        names += [entry["data"]["name"] for entry in page["entries"]]
        cursor = page["cursor"]
    assert names == list("abcde")
    assert cursor == client.get("/sandbox/cursor").json["cursor"]


def test_cursor_passes_what_was_filtered_out(client: Caller) -> None:
    start = client.get("/sandbox/cursor").json["cursor"]
    write(*"abc")
    page = get(client, f"?since={start}&kind=reset")
    assert page["entries"] == []
    assert get(client, f"?since={page['cursor']}")["entries"] == []


def test_latest_entries_are_those_since_the_last_reset(client: Caller) -> None:
    write("old")
    write("reset", kind=timeline.RESET)
    write(*"abcd")
    write("x", kind=timeline.HOLD)
    now = client.get("/sandbox/cursor").json["cursor"]

    def latest(query: str) -> tuple[list[str], int]:
        page = get(client, f"?latest=true&{query}")
        assert page["cursor"] == now
        return [entry["data"]["name"] for entry in page["entries"]], page["earlier"]

    assert latest("limit=2") == (["d", "x"], 3)
    assert latest("limit=2&kind=clock") == (["c", "d"], 2)
    assert latest("") == (list("abcdx"), 0)
    assert latest("since=0.0&limit=6") == (["reset", *"abcdx"], 1)
    assert get(client, "?latest=false&limit=1")["entries"][0]["data"]["name"] == "old"
    refused = client.get("/sandbox/timeline?latest=true&wait=1")
    assert (refused.status, refused.json["errors"]) == (
        400,
        ["wait: Cannot be combined with latest."],
    )


def test_terminal_knows_all_kinds() -> None:
    assert observing.KINDS == timeline.KINDS


def test_filters_by_webhook_object_and_kind(client: Caller) -> None:
    start = timeline.now()
    write("w", webhook="WH-1")
    write("o", object="PR-1", kind=timeline.CHANGE)
    write("h", kind=timeline.HOLD)

    def names(query: str) -> list[str]:
        page = get(client, f"?since={start}&{query}")
        return [entry["data"]["name"] for entry in page["entries"]]

    assert names("webhook=WH-1") == ["w"]
    assert names("object=PR-1") == ["o"]
    assert names("kind=change,hold") == names("kind=change&kind=hold") == ["o", "h"]
    assert names("kind=hold&object=PR-1") == []


def test_deliveries_with_several_objects_are_found_by_each(
    client: Caller, catalog: make.Catalog
) -> None:
    delivery = make.delivery_about(catalog, "PR-1", "PR-2")
    start = timeline.now()
    write("attempt", delivery=delivery.pk, kind=timeline.ATTEMPT_STARTED)
    for pk, count in (("PR-1", 1), ("PR-2", 1), ("PR-3", 0)):
        assert len(get(client, f"?since={start}&object={pk}")["entries"]) == count


def test_cursor_of_another_database_finds_nothing(client: Caller) -> None:
    write("a")
    page = get(client, f"?since={2**62}.{2**62}")
    assert page == {"entries": [], "cursor": f"{2**62}.{2**62}"}
