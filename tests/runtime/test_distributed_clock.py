"""PostgreSQL, Redis, two web servers and two workers: a move waits for what any process does,
faults concern all processes, and commits of workers end waits of web servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import orders
from tests.engines import until
from tests.handlers import handler
from tests.processes import Process, Redis, Sandbox, free_port, redis_server
from tests.runtime.distributed import Server, command, seeded_database, server
from tests.runtime.serving import connect, head, read
from tests.sandbox import timelines
from tests.sandbox.approving import approving


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def both(
    redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Sandbox, Sandbox]]:
    """Two web servers of one sandbox; the second serves the handlers' calls."""
    folder = tmp_path_factory.mktemp("server")
    with (
        seeded_database() as database,
        server(folder, database, redis.url, SIM_PROFILE="sandbox") as first,
        _second(first, tmp_path_factory.mktemp("second")) as second,
    ):
        for request in second.as_vendor("GET", "/requests?status=pending&limit=1000"):
            if request["asset"]["product"]["id"] == orders.PLAIN:
                path = f"/requests/{request['id']}/fail"
                second.as_tester().as_vendor("POST", path, {"reason": "Cleared."})
        yield first.as_tester(), second


@contextmanager
def _second(first: Server, folder: Path) -> Iterator[Sandbox]:
    port = free_port()
    env = {**first.process.env, "SIM_BIND": f"127.0.0.1:{port}", "SIM_DATA_DIR": str(folder)}
    process = Process(command("web"), env, folder / "web.log").start()
    url = f"http://127.0.0.1:{port}"
    second = Sandbox(url, folder, process, first.vendor_key, first.provider_key)
    try:
        second.wait_for_web()
        yield second
    finally:
        process.stop()


def clock(running: Sandbox) -> dict[str, Any]:
    return dict(running.call("GET", "/sandbox/clock").json())


def kinds(running: Sandbox) -> list[str]:
    return [each["kind"] for each in clock(running)["waiting_for"]]


def moving(pool: ThreadPoolExecutor, running: Sandbox, by: str) -> Any:
    """Begin a move in a thread."""
    moved = pool.submit(running.advance, by)
    until(lambda: clock(running)["moving"] or moved.done(), "a move")
    return moved


def test_move_waits_for_a_handler_that_another_process_serves(
    both: tuple[Sandbox, Sandbox],
) -> None:
    first, second = both
    with (
        approving(second, 0.4) as served,
        orders.subscribed(first, served.url),
        ThreadPoolExecutor(1) as pool,
    ):
        before = timelines.cursor(first)
        hold = second.call("POST", "/sandbox/holds", {"note": "orders"}).json()["id"]
        moved = moving(pool, first, "1h")
        created = [orders.purchase(first)["id"] for _ in range(2)]
        assert second.call("DELETE", f"/sandbox/holds/{hold}").status_code == 204
        result = moved.result()
        start, end = (datetime.fromisoformat(result[name]) for name in ("from", "now"))
        assert end - start == timedelta(hours=1)
        assert result["unsettled"] == []
        for pk in created:
            request = first.as_vendor("GET", f"/requests/{pk}")
            assert request["status"] == "approved"
            assert (
                start - timedelta(seconds=1) < datetime.fromisoformat(request["updated"]) <= start
            )
        # Calls that each of the two served are before what the worker sent because of them.
        timelines.check_causes(timelines.since(first, before), created)
        # Both processes have learned the same.
        for running in both:
            rows = running.call("GET", "/sandbox/settle").json()
            [learned] = [row for row in rows if row["url"] == served.url]
            assert learned["source"] == "learned" and learned["ms"] > 400


def test_move_waits_for_an_api_call_in_flight_in_another_process(
    both: tuple[Sandbox, Sandbox],
) -> None:
    first, second = both
    more = f"Content-Length: 2\r\nAuthorization: ApiKey {second.vendor_key}\r\n".encode()
    with connect(second.url, 20) as line, ThreadPoolExecutor(1) as pool:
        line.sendall(head("/public/v1/requests", more, "POST"))
        until(lambda: kinds(first) == ["api_calls"], "the call is in flight")
        moved = moving(pool, first, "1h")
        before = clock(second)
        assert before["frozen"] and not moved.done()
        line.sendall(b"{}")
        assert read(line)[0] == 400
        assert moved.result()["unsettled"] == []
    assert moved.result()["from"] == before["now"]


def test_moves_of_two_processes_exclude_each_other(both: tuple[Sandbox, Sandbox]) -> None:
    first, second = both
    hold = first.call("POST", "/sandbox/holds").json()["id"]
    with ThreadPoolExecutor(1) as pool:
        moved = moving(pool, first, "1m")
        refused = second.call("POST", "/sandbox/clock/next", {})
        assert (refused.status_code, refused.json()["error_code"]) == (409, "CLK_001")
        first.call("DELETE", f"/sandbox/holds/{hold}")
        moved.result()


def test_clock_runs_soon_after_a_kill_in_a_move(
    both: tuple[Sandbox, Sandbox], tmp_path: Path
) -> None:
    first, _ = both
    hold = first.call("POST", "/sandbox/holds").json()["id"]
    with _second(replace(first, headers={}), tmp_path) as third, ThreadPoolExecutor(1) as pool:
        moved = moving(pool, third, "1h")
        third.process.kill()
        assert moved.exception()
        assert clock(first)["frozen"]
        until(lambda: not clock(first)["frozen"], "time runs", timeout=15)
        first.call("DELETE", f"/sandbox/holds/{hold}")
        assert first.advance("1m")["stopped_because"] == "end"


def test_retries_run_to_out_of_order(both: tuple[Sandbox, Sandbox]) -> None:
    first, second = both
    with handler(500) as served, orders.subscribed(first, served.url) as hook:
        orders.purchase(first)
        response = replace(second, headers=first.headers).call(
            "POST", "/sandbox/clock/run-until-idle", {}
        )
        assert response.json()["stopped_because"] == "idle"
        assert len(served.received) == 10
        assert orders.stats(first, hook)["failure_triggers"] == 10


def test_fixed_settle_time_holds_in_all_processes(both: tuple[Sandbox, Sandbox]) -> None:
    first, second = both
    row = {"url": "http://127.0.0.1:9/", "ms": 120, "source": "fixed"}
    body = {"url": row["url"], "ms": row["ms"]}
    assert first.call("POST", "/sandbox/settle", body).json() == row
    assert row in second.call("GET", "/sandbox/settle").json()


def test_response_held_by_one_web_server_is_released_through_the_other(
    both: tuple[Sandbox, Sandbox],
) -> None:
    first, second = both
    fault = first.call("POST", "/sandbox/faults", {"kind": "hold", "nth": [1, 2, 3]}).json()
    shown = f"/sandbox/faults/{fault['id']}"
    with ThreadPoolExecutor(3) as pool:
        calls = []
        for count in (1, 2, 3):
            calls.append(pool.submit(second.as_vendor, "GET", f"/requests?limit={count}"))
            held = first.call("GET", f"{shown}?held={count}&timeout=30").json()["held"]
            assert [call["ordinal"] for call in held] == list(range(1, count + 1))
        assert "api_calls" in kinds(first)
        assert not any(call.done() for call in calls)
        released = first.call("POST", f"{shown}/release", {"count": 2}).json()
        assert [call["ordinal"] for call in released["released"]] == [1, 2]
        assert [len(call.result(20)) for call in calls[:2]] == [1, 2]
        assert not calls[2].done()
        assert first.call("DELETE", shown).json()["fired"] == 3
        assert len(calls[2].result(20)) == 3
    until(lambda: kinds(first) == [], "no call is in flight")


def test_fault_fires_in_all_processes_and_each_time_is_counted(
    both: tuple[Sandbox, Sandbox],
) -> None:
    first, second = both
    handlers = [replace(first, headers={}), second]
    with (
        handler() as served,
        orders.subscribed(first, served.url) as hook,
        ThreadPoolExecutor(8) as pool,
    ):
        abort = {"kind": "abort", "path": "/products", "times": 10, "probability": 1}
        armed = [
            first.call("POST", "/sandbox/faults", abort).json(),
            first.call("POST", "/sandbox/faults", {"kind": "duplicate", "webhook": hook}).json(),
        ]
        calls = [pool.submit(handlers[n % 2].call, "GET", "/public/v1/products") for n in range(24)]
        statuses = sorted(call.result().status_code for call in calls)
        assert statuses == [200] * 14 + [503] * 10
        created = [pool.submit(orders.purchase, first) for _ in range(6)]
        assert len({call.result()["id"] for call in created}) == 6
        until(lambda: len(served.received) == 12, "each request is sent twice")
        until(lambda: orders.stats(first, hook)["success_triggers"] == 6, "they are recorded")
        cleared = first.call("DELETE", "/sandbox/faults").json()["faults"]
        assert [(each["id"], each["asked"], each["fired"]) for each in cleared] == [
            (armed[0]["id"], 10, 10),
            (armed[1]["id"], 6, 6),
        ]
        # The other processes have forgotten it too.
        orders.purchase(first)
        until(lambda: orders.stats(first, hook)["success_triggers"] == 7, "it is delivered")
        assert len(served.received) == 13


# -- waits that commits of the worker end


@pytest.fixture
def running(both: tuple[Sandbox, Sandbox]) -> Sandbox:
    """The sandbox as the handlers' calls reach it."""
    return both[1]


def wait(running: Sandbox, until: Any, **values: Any) -> Any:
    response = running.call("POST", "/sandbox/wait", {"until": until, "timeout": 20, **values})
    assert response.status_code == 200, response.text
    return response.json()


def test_commits_of_the_worker_wake_waits_of_the_web_server(running: Sandbox) -> None:
    key = f"Authorization: ApiKey {running.vendor_key}\r\n".encode()
    with handler(None) as served, orders.subscribed(running, served.url) as hook:
        cursor = running.call("GET", "/sandbox/cursor").json()["cursor"]
        query = f"since={cursor}&webhook={hook}&kind=attempt_finished&wait=600"
        body = json.dumps({"until": {"delivered": {"webhook": hook}}, "timeout": 600}).encode()
        more = key + b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        with connect(running.url, 20) as timeline, connect(running.url, 20) as waiting:
            timeline.sendall(head(f"/sandbox/timeline?{query}", key))
            waiting.sendall(head("/sandbox/wait", more, "POST") + body)
            orders.purchase(running)
            served.next()
            served.release.set()
            responses = [read(line) for line in (timeline, waiting)]
        assert [status for status, _, _ in responses] == [200, 200]
        entries, waited = (json.loads(content) for _, _, content in responses)
        [entry] = entries["entries"]
        assert (entry["kind"], entry["webhook"]) == ("attempt_finished", hook)
        assert waited["evidence"][0]["webhook"] == hook


def test_restore_ends_a_request_in_flight_in_the_worker(running: Sandbox) -> None:
    with handler(None) as served, orders.subscribed(running, served.url) as hook:
        orders.purchase(running)
        served.next()
        body = {"name": "in-flight", "patience": 0}
        assert running.call("POST", "/sandbox/snapshots", body).status_code == 201
        path = "/sandbox/snapshots/in-flight"
        assert running.call("POST", f"{path}/restore", {"patience": 0}).status_code == 200
        # The worker doesn't wait for the response: the restored delivery is sent again.
        served.next()
        served.release.set()
        wait(running, {"delivered": {"webhook": hook}})
        [delivery] = running.call("GET", f"/sandbox/deliveries?webhook={hook}").json()["deliveries"]
        assert [each["outcome"] for each in delivery["attempts"]] == ["unknown", "success"]
        running.call("DELETE", path)


def test_skip_moves_the_clock_for_the_worker(running: Sandbox) -> None:
    with handler(500) as served, orders.subscribed(running, served.url) as hook:
        orders.purchase(running)
        answer = wait(running, {"called": {"webhook": hook, "times": 3}}, skip=True)
        assert len(answer["evidence"]) == 3
        assert len(served.received) == 3
        # The clock runs again.
        assert running.advance("0s")["stops"] == 0
