"""Faults that change how the web server sends a response, at the socket and without it."""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application

from connect_sim.server.deferred import Client
from requests_queue.queues.fulfillment.models import Request
from sandbox.faults.kinds import API, KINDS
from sandbox.models import ApiCall, HeldResponse
from sandbox.timeline import api_calls
from sandbox.world import gate
from tests import make
from tests.api import Caller
from tests.engines import until
from tests.make import Catalog
from tests.runtime.serving import connect, read, serving
from tests.runtime.test_transmission import received_until_reset
from tests.sandbox.faults.conftest import Arm
from tests.sandbox.waits.test_waits_at_the_socket import send

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS = "/public/v1/requests"


@pytest.fixture
def order(catalog: Catalog) -> Request:
    """A pending order, which only needs to be approved."""
    return make.order(catalog)


def is_silent(line: socket.socket) -> bool:
    return not select.select([line], [], [], 0)[0]


def approve(line: socket.socket, client: Caller, order: Request) -> None:
    send(line, client, "POST", f"{REQUESTS}/{order.pk}/approve", {})


def status_of(order: Request) -> str:
    order.refresh_from_db()
    return order.status


@pytest.mark.parametrize(
    ("kind", "status"), [("lost_response", "approved"), ("reset_peer", "pending")]
)
def test_reset_comes_after_the_work_was_committed_or_in_place_of_it(
    client: Caller, order: Request, arm: Arm, settings: Any, kind: str, status: str
) -> None:
    arm(kind, path="/requests/*/approve", name="cut", side="api")
    with serving(get_wsgi_application(), settings) as url, connect(url) as line:
        approve(line, client, order)
        assert received_until_reset(line) == b""
        # Committed before the reset, so that the next call sees it.
        assert status_of(order) == status
    [call] = client.get("/sandbox/api-calls").json["calls"]
    assert call["faults"] == [{"name": "cut", "kind": kind}]
    assert call["status"] == (200 if status == "approved" else 502)


def test_response_is_cut_after_so_many_bytes(client: Caller, arm: Arm, settings: Any) -> None:
    whole = client.client.get(REQUESTS + "?limit=1", headers={"authorization": "ApiKey x"}).content
    arm("limit_data", {"bytes": 5}, side="api")
    with serving(get_wsgi_application(), settings) as url, connect(url) as line:
        send(line, Caller("SU-1:unknown"), "GET", REQUESTS)
        assert received_until_reset(line).partition(b"\r\n\r\n")[2] == whole[:5]


def test_latency_and_slices_are_those_of_the_parameters(
    client: Caller, arm: Arm, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []

    async def pause(client: Client, seconds: float | None, future: Any = None) -> None:
        waited.append(seconds)

    monkeypatch.setattr(Client, "pause", pause)
    arm("latency", {"ms": 400, "jitter": 100}, side="api", seed=7, name="slow")
    arm("slicer", {"size": 50, "delay": 30}, side="api", nth=[2])
    with serving(get_wsgi_application(), settings) as url, connect(url) as line:
        for _ in range(2):
            send(line, Caller("SU-1:unknown"), "GET", REQUESTS)
            body = read(line)[2]
    first, second, *pauses = waited
    assert 0.3 <= first <= 0.5 and 0.3 <= second <= 0.5 and first != second
    assert pauses == [0.03] * ((len(body) - 1) // 50)
    assert len(pauses) >= 1


@pytest.mark.parametrize(("kind", "status"), [("timeout", "approved"), ("drop", "pending")])
def test_silent_connection_is_reset_at_the_end(
    client: Caller, order: Request, arm: Arm, settings: Any, kind: str, status: str
) -> None:
    arm(kind, {"seconds": 60}, path="/requests/*/approve", side="api")
    with serving(get_wsgi_application(), settings) as url, connect(url) as line:
        approve(line, client, order)
        until(lambda: client.get("/sandbox/faults").json["faults"][0]["fired"], "it fires")
        assert is_silent(line)
        with gate.delays_suspended():
            assert received_until_reset(line) == b""
    assert status_of(order) == status


@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if API in kind.texts))
def test_every_kind_responds_without_our_server(client: Caller, arm: Arm, kind: str) -> None:
    parameters = {p.name: 1 for p in KINDS[kind].parameters_of(API) if p.is_required}
    arm(kind, parameters, side="api")
    seen = [
        client.client.get(REQUESTS, headers={"authorization": f"ApiKey {client.key}"})
        for _ in range(2)
    ]
    is_changed = kind not in ("latency", "slicer", "hold", "hold_call")
    assert any(each.status_code >= 500 or len(each.content) < 2 for each in seen) == is_changed
    api_calls.flush()
    calls = client.get("/sandbox/api-calls").json["calls"]
    assert any(call["faults"] for call in calls)


def test_call_is_asked_once_although_the_server_first_asks_for_its_body(
    client: Caller, arm: Arm, settings: Any
) -> None:
    fault = arm("abort", side="api")
    body = json.dumps({"note": "x" * 200_000}).encode()
    with serving(get_wsgi_application(), settings) as url, connect(url) as line:
        line.sendall(
            f"POST {REQUESTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: ApiKey {client.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert read(line, "POST")[0] == 503
    assert client.get(f"/sandbox/faults/{fault['id']}").json["asked"] == 1


def test_held_call_is_served_when_it_is_released(
    client: Caller, order: Request, arm: Arm, settings: Any
) -> None:
    arm("lost_response", side="api", path="/requests/*/approve", name="lost")
    fault = arm("hold_call", side="api", path="/requests/*/approve", name="waits")["id"]
    with serving(get_wsgi_application(), settings) as url, connect(url) as line:
        approve(line, client, order)
        [held] = client.get(f"/sandbox/faults/{fault}?held=1&timeout=30").json["held"]
        assert held["path"] == f"/requests/{order.pk}/approve"
        assert is_silent(line) and status_of(order) == "pending"
        client.post(f"/sandbox/faults/{fault}/release", {})
        # Other faults of the call fire once, when it is served.
        assert received_until_reset(line) == b""
    assert status_of(order) == "approved"
    api_calls.flush()
    [call] = ApiCall.objects.filter(path__endswith="/approve")
    assert [each["name"] for each in call.faults] == ["lost", "waits"]
    assert {each["fired"] for each in client.get("/sandbox/faults").json["faults"]} == {1}


def test_client_that_leaves_a_held_call_is_not_served(
    client: Caller, order: Request, arm: Arm, settings: Any
) -> None:
    fault = arm("hold_call", side="api", path="/requests/*/approve")["id"]
    with serving(get_wsgi_application(), settings) as url:
        with connect(url) as line:
            approve(line, client, order)
            assert client.get(f"/sandbox/faults/{fault}?held=1&timeout=30").json["held"]
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: not HeldResponse.objects.exists(), "nothing is held any more")
    assert status_of(order) == "pending"
