"""Resets and restores while a runner is connected: it gets the tasks of the data then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests import orders
from tests.background import Background
from tests.engines import until
from tests.extensions.runner import Runner, runner
from tests.processes import Sandbox
from tests.shared_sandbox import reset


@pytest.fixture
def extension(running: Sandbox) -> Any:
    """An extension of the vendor, as the commands make it, and the only one."""
    reset(running)
    made = running.call("POST", "/sandbox/extensions", {"products": [orders.PLAIN]})
    assert made.status_code == 201, made.text
    return made.json()


def _post(running: Sandbox, path: str, body: Any = None) -> Any:
    response = running.call("POST", path, body or {})
    assert response.ok, response.text
    return response.json()


@contextmanager
def _connected(sandbox: Sandbox, extension: Any, **options: Any) -> Iterator[Runner]:
    environment = extension["environment"]
    with runner(sandbox.url, sandbox.vendor_key, environment, **options) as one:
        one.set_up()
        yield one


def _tasks(running: Sandbox, extension: Any) -> list[Any]:
    path = f"/devops/services/{extension['id']}/environments/{extension['environment']}/tasks"
    rows: list[Any] = running.as_vendor("GET", f"{path}?ordering(id)")
    return rows


def test_restore_hands_back_the_tasks_of_the_snapshot(running: Sandbox, extension: Any) -> None:
    with _connected(running, extension) as one:
        orders.purchase(running)
        before = one.receive()
        # No API call, so nothing waits for the connection; for its task the patience ends.
        _post(running, "/sandbox/snapshots", {"name": "processed", "patience": 0.1})
        one.answer(before)
        until(lambda: _tasks(running, extension)[0]["status"] == "succeeded", "its end")
        restored = _post(running, "/sandbox/snapshots/processed/restore", {"patience": 0.1})
        assert "connection" not in repr(restored["unsettled"])
        # Its connection goes on, with the variables and the tasks of the snapshot.
        one.receive("setup_response")
        again = one.receive()
        assert again["options"]["task_id"] == before["options"]["task_id"]
        assert again["options"]["correlation_id"] != before["options"]["correlation_id"]
        one.answer(again)
        until(lambda: _tasks(running, extension)[0]["status"] == "succeeded", "its end")


def test_reset_closes_the_connection_of_an_extension_that_is_gone(
    running: Sandbox, extension: Any
) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(_connected(running, extension))
        reset = _post(running, "/sandbox/reset")
        assert reset["unsettled"] == []
        assert one.closed()[0] == 1012
    assert running.call("GET", "/sandbox/extensions").json() == []


def test_idle_waits_for_the_task_that_a_runner_processes(running: Sandbox, extension: Any) -> None:
    with _connected(running, extension) as one:
        orders.purchase(running)
        task = one.receive()
        waits = running.call("GET", "/sandbox/clock").json()["waiting_for"]
        assert [each["kind"] for each in waits if task["options"]["task_id"] in each["text"]]
        one.answer(task, "reschedule", countdown=3600)
        until(lambda: _tasks(running, extension)[0]["status"] == "rescheduled", "its result")
        until(lambda: running.call("GET", "/sandbox/clock").json()["settled"], "a settled sandbox")
        one.answer(task)


def test_next_moves_through_one_task(running: Sandbox, extension: Any) -> None:
    with _connected(running, extension) as one:
        for countdown in (3600, 7200):
            orders.purchase(running)
            one.answer(one.receive(), "reschedule", countdown=countdown)
        statuses = ["rescheduled", "rescheduled"]
        until(
            lambda: [each["status"] for each in _tasks(running, extension)] == statuses, "results"
        )
        ended = []
        for _ in range(2):
            answering = Background(lambda: one.answer(one.receive()))
            assert _post(running, "/sandbox/clock/next")["stopped_because"] == "end"
            answering.result()
            ended.append([each["status"] for each in _tasks(running, extension)])
        assert ended == [["succeeded", "rescheduled"], ["succeeded", "succeeded"]]
    entries = running.call("GET", "/sandbox/timeline?kind=task").json()["entries"]
    actions = [each["data"]["action"] for each in entries[-4:]]
    assert actions == ["started", "finished", "started", "finished"]
