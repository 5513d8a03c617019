"""What a runner's connection gets: of faults of tasks, and of a reset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.processes import Sandbox
from tests.sandbox.task_runner import PURCHASE
from tests.shared_sandbox import reset


@pytest.fixture
def environment(running: Sandbox) -> str:
    """The environment of a new extension, in a sandbox that was reset."""
    reset(running)
    added = running.call("POST", "/sandbox/extensions", {})
    return str(added.json()["environment"])


@pytest.fixture
def connection(running: Sandbox, environment: str) -> Iterator[ClientConnection]:
    """The connection of a runner that subscribes to purchases."""
    url = f"{running.url.replace('http', 'ws')}/public/v1/devops/ws/{environment}/runner"
    headers = {"Authorization": f"ApiKey {running.vendor_key}"}
    with connect(url, additional_headers=headers, proxy=None) as connected:
        send(connected, "setup_request", {"event_subscriptions": {PURCHASE: ["pending"]}})
        assert receive(connected)["message_type"] == "setup_response"
        yield connected


def send(connection: ClientConnection, kind: str, data: Any) -> None:
    connection.send(json.dumps({"version": 2, "message_type": kind, "data": data}))


def receive(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(30))


def closed(connection: ClientConnection) -> int:
    """Wait until the connection is closed, and return the code."""
    with pytest.raises(ConnectionClosed) as ended:
        connection.recv(30)
    assert ended.value.rcvd is not None
    return int(ended.value.rcvd.code)


def fault(running: Sandbox, kind: str) -> None:
    response = running.call("POST", "/sandbox/faults", {"kind": kind, "times": 1})
    assert response.status_code == 201, response.text


def order(running: Sandbox) -> None:
    sample = {"queue": "fulfillment_request", "type": "purchase"}
    assert running.call("POST", "/sandbox/queue/samples", sample).ok


def test_duplicate_task_is_the_same_frame_twice(
    running: Sandbox, connection: ClientConnection
) -> None:
    fault(running, "duplicate_task")
    order(running)
    first, second = receive(connection), receive(connection)
    assert first == second
    for result in ("success", "fail"):
        send(connection, "task", {**first["data"], "output": {"result": result}})
    wait = {"until": {"task": {"object": first["data"]["input"]["object_id"]}}, "timeout": 30}
    assert running.call("POST", "/sandbox/wait", wait, timeout=60).ok


def test_lost_task_is_sent_when_the_clock_has_moved(
    running: Sandbox, connection: ClientConnection
) -> None:
    fault(running, "lost_task")
    order(running)
    moved = running.call("POST", "/sandbox/clock/advance", {"by": "4m", "settle": 0})
    assert moved.ok and moved.json()["unsettled"] == []
    with pytest.raises(TimeoutError):
        connection.recv(0)
    running.call("POST", "/sandbox/clock/advance", {"by": "2m", "settle": 0, "patience": 0})
    assert receive(connection)["message_type"] == "task"


def test_restarted_gateway_sends_the_task_and_closes(
    running: Sandbox, connection: ClientConnection
) -> None:
    fault(running, "restart_gateway")
    order(running)
    assert receive(connection)["message_type"] == "task"
    assert closed(connection) == 1012


def test_reset_closes(running: Sandbox, connection: ClientConnection) -> None:
    reset(running)
    assert closed(connection) == 1012
