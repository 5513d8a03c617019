"""The gate lets requests wait without a thread, and the pause keeps jobs and the engine out."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from requests_queue.db import pausing
from sandbox.world import gate
from sandbox.world.gate import Gate
from tests.background import Background, in_loop


def scope(path: str, method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "path": path, "method": method}


async def call(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a request and return the messages of its response."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, None, send)
    return sent


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Gate:
    own = Gate()
    monkeypatch.setattr(gate, "requests", own)
    return own


@in_loop
async def test_requests_wait_until_the_gate_opens(own: Gate) -> None:
    with own.closed(0) as left:
        assert left == 0
        app = gate.wait_at_gate(answer)
        waiting = [asyncio.create_task(call(app, scope("/public/v1/requests")))] * 3
        passing = [
            scope("/sandbox/reset", "POST"),
            scope("/sandbox/clock/advance", "POST"),
            scope("/sandbox/timeline"),
            scope("/static/x.css"),
            scope("/time/reset/", "POST"),
        ]
        for each in passing:
            assert (await call(app, each))[0]["status"] == 200
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
    for task in waiting:
        assert (await task)[0]["status"] == 200
    assert own.inside == 0


@in_loop
async def test_request_is_refused_after_a_while(own: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "ENTRY", 0.01)
    app = gate.wait_at_gate(answer)
    with own.closed(0):
        start, body = await call(app, scope("/sandbox/queue/samples", "POST"))
    assert start["status"] == 503 and b"SYS_503" in body["body"]
    assert (await call(app, scope("/")))[0]["status"] == 200


@in_loop
async def test_requests_inside_end_first(own: Gate) -> None:
    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()

    task = asyncio.create_task(call(gate.wait_at_gate(slow), scope("/")))
    await asyncio.sleep(0)
    assert own.inside == 1

    def close() -> int:
        with own.closed(10) as inside:
            return inside

    closing = Background(close)
    assert not closing.ended.wait(0.05)
    release.set()
    await task
    assert await asyncio.to_thread(closing.result) == 0
    # Not for ever.
    release.clear()
    task = asyncio.create_task(call(gate.wait_at_gate(slow), scope("/")))
    await asyncio.sleep(0)
    with own.closed(0.01) as inside:
        assert inside == 1
    release.set()
    await task


@in_loop
async def test_request_that_fails_or_is_cancelled_leaves(own: Gate) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise OSError

    with pytest.raises(OSError):
        await call(gate.wait_at_gate(fail), scope("/"))

    async def hang(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(call(gate.wait_at_gate(hang), scope("/")))
    await asyncio.sleep(0)
    task.cancel()
    with own.closed(5) as inside:
        await asyncio.gather(task, return_exceptions=True)
        waiting = asyncio.create_task(call(gate.wait_at_gate(answer), scope("/")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert inside <= 1 and own.inside == 0


class TestPause:
    def test_waits_for_running_work_and_keeps_new_work_waiting(self) -> None:
        order: list[str] = []
        inside, release = threading.Event(), threading.Event()

        def work() -> None:
            with pausing.running(), pausing.running():
                inside.set()
                release.wait(10)
                order.append("first")

        def later() -> None:
            with pausing.running():
                order.append("later")

        first = Background(work)
        assert inside.wait(10)
        threading.Timer(0.05, release.set).start()
        with pausing.paused(10):
            second = Background(later)
            # The thread that pauses may run work itself.
            with pausing.running():
                order.append("paused")
        first.result()
        second.result()
        assert order == ["first", "paused", "later"]

    def test_gives_up(self) -> None:
        def pause() -> None:
            with pausing.paused(0.01):
                pass

        with pausing.running(), pytest.raises(TimeoutError):
            Background(pause).result()
        # Work continues.
        with pausing.running():
            pass

    def test_only_one_replacement_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gate, "TURN", 0.01)
        with gate._turn, pytest.raises(gate.Busy), gate.closed(0):
            pass
