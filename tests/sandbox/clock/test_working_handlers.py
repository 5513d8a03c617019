"""A running sandbox, and handlers that respond at once and work afterwards."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import orders
from tests.marks import nightly
from tests.processes import Sandbox, pause, sandbox
from tests.sandbox import timelines
from tests.sandbox.approving import approving

DELAY = 0.4  # seconds that the handler works after its response
RUNS = 3
_NUMBERS = re.compile(r"\b(?:PR|AS|WH|TA|CA)-[\d-]+\d\b")


@pytest.fixture(scope="module")
def running(running: Sandbox) -> Sandbox:
    return running.as_tester()


def post(running: Sandbox, path: str, **body: Any) -> Any:
    response = running.call("POST", f"/sandbox/{path}", body)
    assert response.ok, response.text
    return response.json()


@pytest.fixture(autouse=True)
def empty(running: Sandbox) -> None:
    """Remove pending requests, which the handler would approve too."""
    for request in running.as_vendor("GET", f"/requests?status=pending&product_id={orders.PLAIN}"):
        running.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})


@dataclass
class Moved:
    """What a move of the clock answered, the orders created meanwhile, and the entries."""

    answer: dict[str, Any]
    orders: list[str]
    entries: timelines.Entries

    def before_start(self, entry: dict[str, Any]) -> timedelta:
        """Return how long before the start of the move it happened."""
        start, at = self.answer["from"], entry["at"]
        return datetime.fromisoformat(start) - datetime.fromisoformat(at)


def advance_with_orders(running: Sandbox, *, one_by_one: bool) -> Moved:
    """Advance by an hour and order three times meanwhile.

    `one_by_one`: each order when the handler has done all its work for the one before.
    """
    with approving(running, DELAY) as served:
        hook = orders.webhook(running, served.url)["id"]
        before = timelines.cursor(running)
        # The move can't end before the orders are created.
        hold = post(running, "holds", note="orders")["id"]
        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(post, running, "clock/advance", by="1h", patience=60)
            while not running.call("GET", "/sandbox/clock").json()["moving"]:
                pause(0.01)
            created = []
            for _ in range(3):
                created.append(orders.purchase(running)["id"])
                # It is called for the order, and for its own approval.
                for _ in range(2 if one_by_one else 0):
                    assert served.worked.acquire(timeout=30)
            assert running.call("DELETE", f"/sandbox/holds/{hold}").status_code == 204
            answer = moving.result()
        entries = timelines.since(running, before)
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
    return Moved(answer, created, entries)


def sequences(moved: Moved) -> dict[str, str]:
    """Return what happened to each object and to each webhook, a line for each entry, without ids
    and durations."""
    names = {pk: f"order {n}" for n, pk in enumerate(moved.orders)}
    deliveries: dict[int, int] = {}
    found: dict[str, list[str]] = {}
    for entry in moved.entries:
        data = {k: v for k, v in entry["data"].items() if k not in ("id", "duration", "url")}
        text = _NUMBERS.sub(lambda match: names.get(match[0], "id"), json.dumps(data))
        # An id too: the first, second, … delivery.
        delivery = deliveries.setdefault(entry["delivery"] or 0, len(deliveries))
        seconds = moved.before_start(entry) // timedelta(seconds=1)
        line = f"{entry['kind']} {text} {delivery}.{entry['attempt']} {seconds}"
        for about in (names.get(entry["object"]), entry["webhook"] and "webhook"):
            if about:
                found.setdefault(about, []).append(line)
    return {about: "\n".join(lines) for about, lines in found.items()}


def never_overtaken(moved: Moved) -> None:
    """Check that everything about the orders happened before time went on."""
    answer = moved.answer
    assert answer["unsettled"] == []
    took = datetime.fromisoformat(answer["now"]) - datetime.fromisoformat(answer["from"])
    assert took == timedelta(hours=1)
    about = [entry for entry in moved.entries if entry["object"] in moved.orders]
    # Changes have whole seconds.
    assert all(timedelta() <= moved.before_start(entry) < timedelta(seconds=1) for entry in about)
    changes = timelines.of_kind(moved.entries, "change")
    statuses = {pk: [e["data"]["to"] for e in changes if e["object"] == pk] for pk in moved.orders}
    assert set(map(tuple, statuses.values())) == {("pending", "approved")}


@pytest.mark.parametrize("runs", [RUNS, nightly(20, reason="more runs of the same")])
def test_sequences_of_objects_and_webhooks_are_the_same_in_each_run(
    running: Sandbox, runs: int
) -> None:
    seen = []
    for _ in range(runs):
        moved = advance_with_orders(running, one_by_one=True)
        never_overtaken(moved)
        timelines.check_causes(moved.entries, moved.orders)
        seen.append(sequences(moved))
    assert seen[0].keys() == {"order 0", "order 1", "order 2", "webhook"}
    for about, lines in seen[0].items():
        for each in seen[1:]:
            assert each[about] == lines


@pytest.mark.parametrize("runs", [1, nightly(10, reason="more runs of the same")])
def test_time_never_overtakes_a_handler_that_works_on_several_orders(
    running: Sandbox, runs: int
) -> None:
    for _ in range(runs):
        moved = advance_with_orders(running, one_by_one=False)
        never_overtaken(moved)
        timelines.check_causes(moved.entries, moved.orders)


def test_settle_time_is_learned_from_the_handler(running: Sandbox) -> None:
    with approving(running, 0.6) as served:
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
        assert 1000 < learned["ms"] < 3000
        began = time.monotonic()
        assert running.advance("1h")["attempts"] == []
        assert time.monotonic() - began < learned["ms"] / 1000
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def test_start_says_how_far_ahead_time_is(tmp_path: Path) -> None:
    with sandbox(tmp_path) as running:
        assert "ahead of real time" not in running.process.printed
        running.advance("P3DT4H")
    with sandbox(tmp_path) as running:
        # Printed once the web server responds.
        while "Press Ctrl-C to stop" not in running.process.printed.rpartition("Stopping")[2]:
            pause()
        assert "Platform time is 3 d 4 h ahead of real time." in running.process.printed
