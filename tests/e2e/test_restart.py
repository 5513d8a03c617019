"""A sandbox that is killed or stopped loses no data at its next start."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import requests

from tests import orders
from tests.e2e import validating
from tests.engines import until
from tests.extensions.runner import runner
from tests.handlers import handler
from tests.processes import Process, Sandbox, manage, output, sandbox
from tests.processes import restart as start_again
from tests.queue import spreadsheets as sheets

METER = "PRD-590-284-731"
ROWS = 3000  # of a usage file
TASKS = 200


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    # Without a line for each attempt and API call.
    with sandbox(tmp_path_factory.mktemp("sandbox"), SIM_QUIET="true") as running:
        running.process.wait_to_print("Press Ctrl-C to stop.")
        yield running
        # A clean stop takes seconds, and has its own test.
        running.process.kill()


@pytest.fixture
def running(shared: Sandbox) -> Sandbox:
    """The sandbox, restarted if a failed test has left it stopped."""
    return shared if shared.process.popen.poll() is None else restart(shared)


def restart(running: Sandbox) -> Sandbox:
    """Restart the sandbox on the same data, and wait for the end of its banner."""
    before = running.process.printed
    start_again(running)
    running.process.wait_to_print("Press Ctrl-C to stop.", after=before)
    return running


def let_leases_pass(running: Sandbox) -> None:
    """Expire the leases of the killed sandbox without waiting."""
    with _database(running) as database:
        database.execute("UPDATE webhooks_delivery SET lease = lease - 60 WHERE state = 'calling'")
        database.execute("UPDATE usage_file_usagefile SET lease = lease - 120 WHERE claim != ''")
        database.execute(
            "UPDATE extensions_instance SET connection = NULL, lost_at = '2026-01-01 00:00:00'"
        )


@contextmanager
def _database(running: Sandbox) -> Iterator[sqlite3.Connection]:
    """Open the sandbox's database, also that of a killed one; commit at the end."""
    with closing(sqlite3.connect(running.data_dir / "connect.sqlite3")) as database, database:
        yield database


def counters_are_right(running: Sandbox) -> None:
    """Check the counters by the command that compares them with the records."""
    assert output(manage("check_counters"), running.process.env) == ""


def test_kill_during_orders_loses_no_accepted_order(running: Sandbox) -> None:
    with handler() as served, orders.subscribed(running, served.url, METER) as hook:
        orders.connection(running, METER)

        def order(worker: int) -> list[str]:
            created: list[str] = []
            try:
                for n in range(200):
                    more = {"external_id": f"burst-{worker}-{n}"}
                    created.append(orders.purchase(running, METER, **more)["id"])
            except requests.RequestException:
                pass
            return created

        with ThreadPoolExecutor(4) as pool:
            at_work = [pool.submit(order, worker) for worker in range(4)]
            for _ in range(6):
                served.next()
            running.process.kill()
            answered = {pk for done in at_work for pk in done.result()}
        let_leases_pass(running)
        restart(running)
        rows = running.as_vendor("GET", "/requests?like(asset.external_id,burst-*)&limit=1000")
        there = {row["id"] for row in rows}
        # Six deliveries have arrived; the response of the last one of each thread may be lost.
        assert len(answered) >= 2
        assert answered <= there
        # Requests that were committed without a response have their event too.
        orders.until_stats(
            running, hook, events=len(there), success_triggers=len(there), failure_triggers=0
        )
        counters_are_right(running)


@pytest.mark.parametrize(("end", "seconds"), [(Process.kill, 45), (Process.stop, 5)])
def test_request_in_flight_is_repeated_after_the_restart(
    running: Sandbox, end: Callable[[Process], Any], seconds: float
) -> None:
    """After a kill when its real lease has expired; after a stop there is none to wait for."""
    with handler(None) as served, orders.subscribed(running, served.url) as hook:
        orders.purchase(running)
        served.next()
        end(running.process)
        served.respond = lambda request: 200
        served.release.set()
        restart(running)
        served.next(timeout=seconds)
        # The lost call counts as a trigger, but nobody knows whether it was a success.
        orders.until_stats(
            running, hook, events=1, triggers=2, success_triggers=1, failure_triggers=0
        )
        counters_are_right(running)


def test_kill_during_a_clock_move_does_not_freeze_the_clock(running: Sandbox) -> None:
    with handler(500) as served, orders.subscribed(running, served.url) as hook:
        orders.purchase(running)
        orders.until_stats(running, hook, failure_triggers=1)
        served.calls.get()
        # The move of the clock stops at the retry and waits for its request, which hangs.
        served.respond = lambda request: None
        with ThreadPoolExecutor(1) as pool:
            moved = pool.submit(running.advance, "1h")
            served.next()
            assert running.call("GET", "/sandbox/clock").json()["frozen"]
            running.process.kill()
            assert moved.exception()
        served.respond = lambda request: 200
        served.release.set()
        let_leases_pass(running)
        restart(running)
        first = _now(running)
        # Platform time is where the move was interrupted, not at its end.
        assert first - datetime.now(first.tzinfo) < timedelta(hours=1)
        # Another move is not refused, though the lease of the last one has not ended.
        running.advance("1s")
        until(lambda: _now(running) > first + timedelta(seconds=2), "the clock runs")
        orders.until_stats(running, hook, events=1, triggers=3, success_triggers=1)
        counters_are_right(running)


def test_kills_among_tasks_lose_none_and_repeat_none_whose_result_is_stored(
    running: Sandbox,
) -> None:
    declared = {"name": "Kills", "products": [METER]}
    environment = running.call("POST", "/sandbox/extensions", declared).json()["environment"]
    connect = partial(runner, running.url, running.vendor_key, environment)
    with connect() as one:
        one.set_up()
    body = orders.order(running, METER)
    for n in range(TASKS):
        body["asset"]["external_id"] = f"task-{n}"
        running.as_distributor("POST", "/requests", body)
    # The sandbox is killed while results are on their way. Its runner comes back with the others.
    with connect() as one:
        one.set_up()
        tasks = [one.receive() for _ in range(60)]
        for task in tasks[:30]:
            one.answer(task)
        running.process.kill()
    stored = _stored_results(running)
    assert len(stored) <= 30
    restart(running)
    with connect(running=30) as one:
        one.set_up()
        for task in tasks[30:]:
            one.answer(task)
        until(lambda: _numbers(tasks[30:]) <= _stored_results(running), "results are stored")
        more = [one.receive() for _ in range(50)]
        assert not _numbers(more) & (stored | _numbers(tasks[30:]))
        for task in more:
            one.answer(task)
        # Killed for longer than its runner: what has no result is sent again to another one.
        running.process.kill()
    stored = _stored_results(running)
    let_leases_pass(running)
    restart(running)
    with connect("two") as two:
        two.set_up()
        rest = []
        for _ in range(TASKS - len(stored)):
            two.answer(task := two.receive())
            rest.append(task)
        until(lambda: len(_stored_results(running)) == TASKS, "all results are stored")
    assert not _numbers(rest) & stored
    with _database(running) as database:
        rows = database.execute(
            "SELECT sent, SUM(result = 'success'), SUM(result = 'lost') FROM extensions_task"
            " JOIN extensions_run ON extensions_run.task_id = extensions_task.id"
            " GROUP BY extensions_task.id"
        ).fetchall()
    assert len(rows) == TASKS
    assert all(sent == 1 + lost and counted == 1 for sent, counted, lost in rows)


def _numbers(tasks: list[dict[str, Any]]) -> set[int]:
    return {int(task["options"]["task_id"].rpartition("-")[2]) for task in tasks}


def _stored_results(running: Sandbox) -> set[int]:
    with _database(running) as database:
        rows = database.execute("SELECT id FROM extensions_task WHERE status = 'succeeded'")
        return {pk for (pk,) in rows}


def _now(running: Sandbox) -> datetime:
    body = running.call("GET", "/sandbox/clock").json()
    return datetime.fromisoformat(body["now"])


def sandbox_file(running: Sandbox) -> bytes:
    """Return the content of sandbox.json, which only its owner may read."""
    file = running.data_dir / "sandbox.json"
    assert file.stat().st_mode & 0o777 == 0o600
    return file.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_signal_stops_the_sandbox_cleanly(running: Sandbox, number: signal.Signals) -> None:
    printed, before = running.process.printed, sandbox_file(running)
    began = time.monotonic()
    assert running.process.stop(number) == 0
    print(f"{number.name}: {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 15
    lines = running.process.printed.removeprefix(printed).strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Stopping")
    restart(running)
    assert sandbox_file(running) == before
    counters_are_right(running)


def test_validation_in_flight_at_a_stop_fails(running: Sandbox) -> None:
    with (
        handler(None) as served,
        orders.subscribed(running, served.url, validating.SUITE, type="validator") as hook,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(validating.draft(running).validate)
        served.next()
        assert running.process.stop() == 0
        assert (waiting.result().status_code, waiting.result().json()) == (
            400,
            {
                "error_code": "VAL_100",
                "errors": [
                    "Validation service is not available.",
                    "Sandbox stopped during the request: the outcome is unknown.",
                ],
            },
        )
        restart(running)
        orders.until_stats(running, hook, triggers=1, success_triggers=0, failure_triggers=0)


def test_second_signal_ends_the_process_immediately(running: Sandbox) -> None:
    with handler(None) as served, orders.subscribed(running, served.url) as hook:
        orders.purchase(running)
        served.next()
        before = running.process.printed
        running.process.popen.send_signal(signal.SIGINT)
        running.process.wait_to_print("Stopping", after=before)
        began = time.monotonic()
        assert running.process.stop(signal.SIGINT) == 128 + signal.SIGINT
        assert time.monotonic() - began < 2.5
        served.respond = lambda request: 200
        served.release.set()
        let_leases_pass(running)
        restart(running)
        orders.until_stats(running, hook, events=1, success_triggers=1)


def usage(running: Sandbox) -> tuple[dict[str, Any], bytes]:
    """Return the body of a file with many usage rows of a subscription, and its content."""
    asset = running.as_vendor("GET", "/assets?status=active&limit=1")[0]
    named = {"item_search_value": asset["items"][0]["mpn"], "asset_search_value": asset["id"]}
    rows = sheets.csv(sheets.table([sheets.row(n, **named) for n in range(ROWS)]))
    body = {name: {"id": asset[name]["id"]} for name in ("product", "contract")}
    return {"name": "November", **body}, rows


def until_file(running: Sandbox, path: str, expected: Callable[[Any], bool]) -> Any:
    """Poll a usage file until this is true of it, and return it."""

    def read() -> Any:
        body = running.as_vendor("GET", path)
        return body if expected(body) else None

    return until(read, "the file", timeout=240)


def test_usage_file_that_is_read_at_a_kill_is_read_again_after_the_restart(
    running: Sandbox,
) -> None:
    body, content = usage(running)
    path = f"/usage/files/{running.as_vendor('POST', '/usage/files', body)['id']}"
    response = requests.post(
        f"{running.url}/public/v1{path}/upload",
        headers={"Authorization": f"ApiKey {running.vendor_key}"},
        files={"usage_file": ("usage.csv", content)},
        timeout=30,
    )
    assert response.status_code == 201
    shown = until_file(running, path, lambda f: f["stats"]["validated"] > 0)
    running.process.kill()
    assert shown["stats"]["uploaded"] == ROWS and shown["sub_status"] == "processing"
    let_leases_pass(running)
    restart(running)
    shown = until_file(running, path, lambda f: f["sub_status"] == "processed")
    assert (shown["status"], shown["error_detail"]) == ("ready", "")
    assert shown["stats"]["validated"] == shown["records"]["valid"] == ROWS
    records = running.call("GET", f"/public/v1/usage/records?eq(usagefile.id,{path[-20:]})&limit=0")
    assert records.headers["Content-Range"] == f"items 0-0/{ROWS}"
    assert running.as_vendor("POST", f"{path}/submit")["status"] == "pending"
