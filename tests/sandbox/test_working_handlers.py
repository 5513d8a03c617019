"""A running sandbox, and handlers that respond at once and work afterwards."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import orders
from tests.handlers import handler
from tests.lanes import nightly
from tests.processes import Sandbox, pause, sandbox
from tests.sandbox.approving import approving

DELAY = 0.4  # seconds that the handler works after its response
RUNS = 3
_NUMBERS = re.compile(r"\b(?:PR|AS|WH|TA|CA)-[\d-]+\d\b")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running.as_tester()


def post(running: Sandbox, path: str, **body: Any) -> Any:
    response = running.call("POST", f"/sandbox/{path}", body)
    assert response.ok, response.text
    return response.json()


def timeline(running: Sandbox, after: int) -> list[dict[str, Any]]:
    """Return the entries of the timeline after an id."""
    with closing(sqlite3.connect(running.data_dir / "connect.sqlite3")) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT * FROM sandbox_timelineentry WHERE id > ? ORDER BY id", [after]
        ).fetchall()
    return [{**row, "data": json.loads(row["data"])} for row in rows]


def last_entry(running: Sandbox) -> int:
    entries = timeline(running, 0)
    return int(entries[-1]["id"]) if entries else 0


def at(entry: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(f"{entry['at']}+00:00")
    # As the API shows it.
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.fixture(autouse=True)
def empty(running: Sandbox) -> None:
    """Remove pending requests, which the handler would approve too."""
    for request in running.as_vendor("GET", f"/requests?status=pending&product_id={orders.PLAIN}"):
        running.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})


def advance_with_orders(running: Sandbox) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """Advance by an hour and order three times meanwhile; return the move, orders and entries."""
    with approving(running, DELAY) as served:
        hook = orders.webhook(running, served.url)["id"]
        before = last_entry(running)
        # The move can't end before the orders are created.
        hold = post(running, "holds", note="orders")["id"]
        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(post, running, "clock/advance", by="1h")
            while not running.call("GET", "/sandbox/clock").json()["moving"]:
                pause(0.01)
            created = [orders.purchase(running)["id"] for _ in range(3)]
            assert running.call("DELETE", f"/sandbox/holds/{hold}").status_code == 204
            moved = moving.result()
        entries = timeline(running, before)
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
    return moved, created, entries


def sequences(
    moved: dict[str, Any], created: list[str], entries: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what happened to each object and webhook, without ids and real durations."""
    start = datetime.fromisoformat(moved["from"])
    names = {pk: f"order {n}" for n, pk in enumerate(created)}

    def plain(entry: dict[str, Any]) -> str:
        dropped = {"id", "duration", "url", "key", "account"}
        if not entry["object_id"]:
            # Whether it is certain depends on how many orders there are by then.
            dropped.add("link")
        data = {k: v for k, v in entry["data"].items() if k not in dropped}
        text = _NUMBERS.sub(lambda match: names.get(match[0], "id"), json.dumps(data))
        return f"{entry['kind']} {text} {round((start - at(entry)).total_seconds() // 1)}"

    of_objects: dict[str, list[str]] = {}
    of_webhooks: Counter[str] = Counter()
    for entry in entries:
        if name := names.get(entry["object_id"]):
            # An approval and the delivery that it causes run at the same time.
            part = "calls" if entry["kind"] == "api_call" else "events"
            of_objects.setdefault(f"{part} of {name}", []).append(plain(entry))
        if entry["webhook_id"]:
            # Of different objects at one moment: in any order.
            of_webhooks[plain(entry)] += 1
    return {**of_objects, "webhook": of_webhooks}


def never_overtaken(
    moved: dict[str, Any], created: list[str], entries: list[dict[str, Any]]
) -> None:
    """Check that everything about the orders happened before time went on."""
    start = datetime.fromisoformat(moved["from"])
    assert datetime.fromisoformat(moved["now"]) - start == timedelta(hours=1)
    assert moved["unsettled"] == []
    about = [entry for entry in entries if entry["object_id"] in created]
    # Changes have whole seconds.
    assert all(timedelta() <= start - at(entry) < timedelta(seconds=1) for entry in about)
    statuses = {
        pk: [e["data"]["to"] for e in about if e["object_id"] == pk and e["kind"] == "change"]
        for pk in created
    }
    assert set(map(tuple, statuses.values())) == {("pending", "approved")}


@pytest.mark.parametrize("runs", [RUNS, nightly(20)])
def test_time_never_overtakes_a_handler_that_works_afterwards(running: Sandbox, runs: int) -> None:
    seen = []
    for _ in range(runs):
        result = advance_with_orders(running)
        never_overtaken(*result)
        seen.append(sequences(*result))
    for each in seen[1:]:
        assert each == seen[0]


def test_settle_time_is_learned_from_the_handler(running: Sandbox) -> None:
    with approving(running, 0.3) as served:
        hook = orders.webhook(running, served.url)["id"]
        orders.purchase(running)
        running.advance("1h")
        [learned] = [
            each
            for each in running.call("GET", "/sandbox/settle").json()
            if each["url"] == served.url
        ]
        assert learned["source"] == "learned"
        # Twice the delay, and a little more for each call.
        assert 500 < learned["ms"] < 1500
        began = time.monotonic()
        assert running.advance("1h")["attempts"] == []
        assert time.monotonic() - began < 1
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def test_retries_end_out_of_order(running: Sandbox) -> None:
    with handler(500) as served:
        hook = orders.webhook(running, served.url)["id"]
        orders.purchase(running)
        began = time.monotonic()
        moved = post(running, "clock/run-until-idle")
        print(f"ten failures in {time.monotonic() - began:.2f} s")
        assert len(served.received) == 10
        assert moved["stopped_because"] == "idle"
        assert len(moved["attempts"]) in (9, 10)
        days = datetime.fromisoformat(moved["now"]) - datetime.fromisoformat(moved["from"])
        assert timedelta(hours=22) < days < timedelta(hours=23)
        body = running.as_vendor("GET", f"/notifications/webhooks/{hook}")
        assert body["stats"]["failure_triggers"] == 10
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def test_start_says_how_far_ahead_time_is(tmp_path: Path) -> None:
    with sandbox(tmp_path) as running:
        assert "ahead of real time" not in running.process.printed
        running.advance("P3DT4H")
    with sandbox(tmp_path) as running:
        # Printed once the web server responds.
        while "Press Ctrl-C" not in running.process.printed.rpartition("Stopping")[2]:
            pause()
        assert "Platform time is 3 d 4 h ahead of real time." in running.process.printed


def test_date_of_responses_is_platform_time_under_the_api_only(running: Sandbox) -> None:
    def date(path: str) -> datetime:
        shown = running.call("GET", path).headers["Date"]
        return datetime.strptime(shown, "%a, %d %b %Y %H:%M:%S GMT")

    running.advance("1d")
    ahead = timedelta(seconds=running.call("GET", "/sandbox/clock").json()["offset"])
    assert ahead >= timedelta(days=1)
    difference = date("/public/v1/requests?limit=1") - date("/sandbox/clock")
    assert abs(difference - ahead) < timedelta(seconds=5)
