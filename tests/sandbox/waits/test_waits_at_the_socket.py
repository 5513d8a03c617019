"""Waits through the web server: no thread waits, clients leave, and the sandbox restarts."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application

from sandbox.clock import moves
from sandbox.timeline import observer, timeline
from sandbox.waits import wait_responses
from sandbox.waits.waiting import waits
from tests import orders
from tests.api import Caller
from tests.background import threads
from tests.engines import until
from tests.handlers import handler
from tests.processes import restart, sandbox
from tests.runtime.serving import connect, read, serving
from tests.sandbox import timelines
from tests.sandbox.calling import catalog, client, hook, served
from tests.sandbox.timeline.test_timeline import write
from webhooks.models import Webhook

__all__ = ["catalog", "client", "hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)


def send(line: socket.socket, client: Caller, method: str, path: str, body: Any = None) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ApiKey {client.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    line.sendall(head.encode() + content)


def until_waiting(count: int) -> None:
    until(lambda: len(waits.undecided()) == count, f"{count} waits")


def test_client_that_ends_its_connection_ends_its_wait_that_skips(
    client: Caller, hook: Webhook, settings: Any
) -> None:
    """A client that is interrupted sends no reset."""
    with (
        serving(get_wsgi_application(), settings) as url,
        connect(url) as line,
        # The wait cannot move the clock meanwhile, so nothing else ends it.
        moves.Move(moves.ADVANCE),
    ):
        body = {"until": {"called": {"webhook": hook.pk}}, "timeout": 30, "skip": True}
        send(line, client, "POST", "/sandbox/wait", body)
        until_waiting(1)
        line.shutdown(socket.SHUT_WR)
        status, _, content = read(line, "POST")
        assert (status, json.loads(content)["error_code"]) == (400, "REQ_400")
        until_waiting(0)
        until(lambda: "wait-mover" not in threads(), "nothing moves the clock")


def test_read_of_the_timeline_ends_with_an_entry(client: Caller, settings: Any) -> None:
    path = f"/sandbox/timeline?since={timeline.now()}&wait=30&kind=change"
    with serving(get_wsgi_application(), settings) as url, connect(url, 30) as line:
        send(line, client, "GET", path)
        until(lambda: observer.waiting(wait_responses.reads), "it waits")
        write("entry", kind=timeline.CHANGE)
        status, headers, body = read(line)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["connect-version"]
    assert [entry["data"]["name"] for entry in json.loads(body)["entries"]] == ["entry"]


def test_cursor_is_valid_after_a_restart(tmp_path: Path) -> None:
    with handler() as served, sandbox(tmp_path) as running:
        cursor = timelines.cursor(running)
        pk = orders.webhook(running, served.url)["id"]
        running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger")
        delivered = {"until": {"delivered": {"webhook": pk}}, "since": cursor}
        before = running.call("POST", "/sandbox/wait", delivered)
        assert before.status_code == 200
        running.process.stop()
        restart(running)
        after = running.call("POST", "/sandbox/wait", {**delivered, "timeout": 0})
        assert after.json()["evidence"] == before.json()["evidence"]
