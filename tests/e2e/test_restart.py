"""A sandbox that is killed or stopped loses no data at its next start."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests import orders, processes
from tests.engines import until
from tests.handlers import Handler, handler
from tests.processes import Sandbox, manage, pause, sandbox
from tests.processes import restart as start_again

METER = "PRD-590-284-731"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    # Without a line for each attempt and API call.
    with sandbox(tmp_path_factory.mktemp("sandbox"), SIM_QUIET="true") as running:
        until_printed(running, "Press Ctrl-C to stop.", "")
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
    until_printed(running, "Press Ctrl-C to stop.", before)
    return running


def until_printed(running: Sandbox, text: str, before: str) -> None:
    deadline = time.monotonic() + 60
    while text not in running.process.printed.removeprefix(before):
        assert time.monotonic() < deadline, running.process.printed.removeprefix(before)
        pause(0.01)


def let_leases_pass(running: Sandbox) -> None:
    """Expire the leases of the killed sandbox without waiting."""
    with sqlite3.connect(running.data_dir / "connect.sqlite3") as database:
        database.execute("UPDATE webhooks_delivery SET lease = lease - 60 WHERE state = 'calling'")
        database.execute("UPDATE requests_queue_clock SET moving_lease = moving_lease - 60")
    database.close()


def counters_are_right(running: Sandbox) -> None:
    """Check the counters by the command that compares them with the records."""
    done = processes.run(manage("check_counters"), running.process.env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def hook_of(running: Sandbox, served: Handler, product: str = orders.PLAIN) -> str:
    return str(orders.webhook(running, served.url, product)["id"])


def drop(running: Sandbox, hook: str) -> None:
    running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


@pytest.mark.nightly(reason="test_kill_during_orders_loses_no_accepted_order kills at any moment")
def test_kill_after_the_response_loses_no_event(running: Sandbox) -> None:
    with handler() as served:
        hook = hook_of(running, served)
        request = orders.purchase(running)
        running.process.kill()
        let_leases_pass(running)
        restart(running)
        orders.until_stats(running, hook, events=1, success_triggers=1, failure_triggers=0)
        assert running.as_vendor("GET", f"/requests/{request['id']}")["status"] == "pending"
        # Twice if the kill was between the request and its record: delivery is at-least-once.
        assert len(served.received) in (1, 2)
        counters_are_right(running)
        drop(running, hook)


def test_kill_during_orders_loses_no_accepted_order(running: Sandbox) -> None:
    with handler() as served:
        hook = hook_of(running, served, METER)
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
        drop(running, hook)


@pytest.mark.nightly(reason="test_kill_during_a_clock_move_does_not_freeze_the_clock is stricter")
def test_clock_runs_at_once_after_a_kill_in_a_move(running: Sandbox) -> None:
    with handler(None) as served, ThreadPoolExecutor(1) as pool:
        hook = hook_of(running, served)
        orders.purchase(running)
        served.next()
        moved = pool.submit(running.advance, "1h")
        until(lambda: running.call("GET", "/sandbox/clock").json()["frozen"], "a move")
        stopped = running.call("GET", "/sandbox/clock").json()["now"]
        running.process.kill()
        assert moved.exception()
        served.respond = lambda request: 200
        served.release.set()
        restart(running)
        # Another move is not refused either.
        assert running.advance("0s")["from"] > stopped
        drop(running, hook)


def test_request_in_flight_at_a_kill_is_repeated_after_its_lease(running: Sandbox) -> None:
    """Waits for the real lease to expire."""
    with handler(None) as served:
        hook = hook_of(running, served)
        orders.purchase(running)
        served.next()
        running.process.kill()
        killed = time.monotonic()
        served.respond = lambda request: 200
        served.release.set()
        restart(running)
        served.next(timeout=45)
        print(f"called again {time.monotonic() - killed:.1f} s after the kill")
        # The lost call counts as a trigger, but nobody knows whether it was a success.
        orders.until_stats(
            running, hook, events=1, triggers=2, success_triggers=1, failure_triggers=0
        )
        counters_are_right(running)
        drop(running, hook)


def test_request_that_kills_the_sandbox_twice_waits_alone(running: Sandbox) -> None:
    with handler(None) as served:
        hook = hook_of(running, served)
        orders.purchase(running)
        for _ in range(2):
            # After the first loss it is repeated immediately.
            served.next()
            running.process.kill()
            let_leases_pass(running)
            restart(running)
        orders.until_stats(running, hook, triggers=2, failure_triggers=0)
        # The death of the sending process says nothing about the handler: others pass it.
        hook_body = running.as_vendor("GET", f"/notifications/webhooks/{hook}")
        assert hook_body["earliest_possible_trigger"] is None
        served.respond = lambda request: 200
        orders.purchase(running)
        orders.until_stats(running, hook, events=2, triggers=3, success_triggers=1)
        running.advance("4m30s")
        assert len(served.received) == 3
        running.advance("1m")
        orders.until_stats(running, hook, triggers=4, success_triggers=2)
        counters_are_right(running)
        drop(running, hook)


@pytest.mark.nightly(reason="the backoff is a column, which tests/webhooks/test_backoff.py covers")
def test_kill_between_failure_and_retry_keeps_the_backoff(running: Sandbox) -> None:
    with handler(500) as served:
        hook = hook_of(running, served)
        path = f"/notifications/webhooks/{hook}"
        orders.purchase(running)
        orders.until_stats(running, hook, triggers=1, failure_triggers=1)
        before = running.as_vendor("GET", path)
        running.process.kill()
        restart(running)
        assert running.as_vendor("GET", path) == before
        served.respond = lambda request: 200
        running.advance("4m30s")
        assert len(served.received) == 1
        running.advance("1m")
        orders.until_stats(
            running, hook, events=1, triggers=2, success_triggers=1, failure_since_last_success=0
        )
        counters_are_right(running)
        drop(running, hook)


def test_kill_during_a_clock_move_does_not_freeze_the_clock(running: Sandbox) -> None:
    with handler(500) as served:
        hook = hook_of(running, served)
        orders.purchase(running)
        orders.until_stats(running, hook, failure_triggers=1)
        served.calls.get()
        # The move of the clock stops at the retry and waits for its request, which hangs.
        served.respond = lambda request: None
        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(_try_to_advance, running, "1h")
            served.next()
            running.process.kill()
            assert moving.result() is None
        served.respond = lambda request: 200
        served.release.set()
        let_leases_pass(running)
        restart(running)
        first = _now(running)
        deadline = time.monotonic() + 60
        while _now(running) == first:
            assert time.monotonic() < deadline, "the clock stands"
            pause()
        # Platform time is where the move was interrupted, not at its end.
        assert first - datetime.now(first.tzinfo) < timedelta(hours=1)
        running.advance("1s")
        orders.until_stats(running, hook, events=1, triggers=3, success_triggers=1)
        counters_are_right(running)
        drop(running, hook)


def _try_to_advance(running: Sandbox, by: str) -> Any:
    try:
        return running.advance(by)
    except requests.RequestException:
        return None


def _now(running: Sandbox) -> datetime:
    body = running.call("GET", "/sandbox/clock").json()
    return datetime.fromisoformat(body["now"])


@pytest.mark.nightly(reason="tests/runtime/test_cli.py has the keys after an ordinary end")
def test_keys_and_url_are_the_same_after_a_kill(running: Sandbox) -> None:
    before, printed = sandbox_file(running), running.process.printed
    assert json.loads(before)["url"] == running.url
    running.process.kill()
    restart(running)
    assert sandbox_file(running) == before
    again = running.process.printed.removeprefix(printed)
    for key in (running.vendor_key, running.provider_key):
        assert again.count(f"ApiKey {key}\n") == 1
        assert running.call("GET", "/public/v1/requests?limit=0", key=key).status_code == 200


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


def test_request_in_flight_at_a_stop_is_repeated_at_the_start(running: Sandbox) -> None:
    """Unlike after a kill, there is no lease to wait for."""
    with handler(None) as served:
        hook = hook_of(running, served)
        orders.purchase(running)
        served.next()
        assert running.process.stop() == 0
        served.respond = lambda request: 200
        served.release.set()
        restart(running)
        served.next(timeout=5)
        orders.until_stats(
            running, hook, events=1, triggers=2, success_triggers=1, failure_triggers=0
        )
        counters_are_right(running)
        drop(running, hook)


def test_second_signal_ends_the_process_immediately(running: Sandbox) -> None:
    with handler(None) as served:
        hook = hook_of(running, served)
        orders.purchase(running)
        served.next()
        before = running.process.printed
        running.process.popen.send_signal(signal.SIGINT)
        until_printed(running, "Stopping", before)
        began = time.monotonic()
        assert running.process.stop(signal.SIGINT) == 128 + signal.SIGINT
        assert time.monotonic() - began < 2.5
        served.respond = lambda request: 200
        served.release.set()
        let_leases_pass(running)
        restart(running)
        orders.until_stats(running, hook, events=1, success_triggers=1)
        drop(running, hook)
