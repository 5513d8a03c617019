"""What all waits of the sandbox have in common: limits, deadlines, clients that leave, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError

from sandbox.faults import api_side
from sandbox.timeline import observer, timeline
from sandbox.timeline.observer import Kind
from sandbox.waits.wait_responses import reads
from sandbox.waits.waiting import waits
from sandbox.world import gate
from tests import make
from tests.api import Caller, caller
from tests.background import threads
from tests.engines import until
from tests.runtime.serving import connect, read, reset, serving
from tests.sandbox.calling import catalog, client
from tests.sandbox.waits.test_waits_at_the_socket import send

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Use:
    """A call that waits for so many seconds, and its status at the deadline."""

    kind: Kind[Any]
    request: Callable[[float], tuple[str, str, Any]]
    status: int


def wait(client: Caller) -> Use:
    until_ = {"called": {"webhook": make.webhook(make.catalog("2")).pk}}
    body = lambda seconds: {"until": until_, "timeout": seconds}  # noqa: E731
    return Use(waits, lambda seconds: ("POST", "/sandbox/wait", body(seconds)), 408)


def timeline_read(client: Caller) -> Use:
    path = f"/sandbox/timeline?kind=message&since={timeline.now()}"
    return Use(reads, lambda seconds: ("GET", f"{path}&wait={seconds}", None), 200)


def lease(client: Caller) -> Use:
    assert gate.take_lease()
    return Use(gate.takers, lambda seconds: ("POST", "/sandbox/lease", {"wait": seconds}), 409)


def held(client: Caller) -> Use:
    fault = client.post("/sandbox/faults", {"kind": "hold", "side": "api"}).json
    path = f"/sandbox/faults/{fault['id']}?held=1"
    return Use(api_side.callers, lambda seconds: ("GET", f"{path}&timeout={seconds}", None), 200)


@pytest.fixture(params=[wait, timeline_read, lease, held])
def use(request: pytest.FixtureRequest, client: Caller) -> Use:
    made: Use = request.param(client)
    return made


@pytest.fixture
def url(settings: Any) -> Iterator[str]:
    """The web server with one thread, which no wait may keep; no wait and no thread remain."""
    with serving(get_wsgi_application(), settings) as url:
        yield url
    until(lambda: "observer" not in threads(), "the thread ends")


def status(url: str, by: Caller, use: Use, seconds: float) -> int:
    method, path, body = use.request(seconds)
    with connect(url, 30) as line:
        send(line, by, method, path, body)
        return read(line, method)[0]


def waiting(use: Use, count: int) -> None:
    until(lambda: len(observer.waiting(use.kind)) == count, f"{count} waits")


def test_wait_ends_at_its_deadline(url: str, client: Caller, use: Use) -> None:
    assert status(url, client, use, 0.05) == use.status


def test_waits_of_a_key_are_limited_and_those_of_clients_that_left_do_not_count(
    url: str, client: Caller, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "MAX_PER_KEY", 2)
    method, path, body = use.request(600)
    with connect(url, 30) as first, connect(url, 30) as second:
        for line in (first, second):
            send(line, client, method, path, body)
        waiting(use, 2)
        assert status(url, client, use, 600) == 429
        # Those of another key are counted apart.
        assert status(url, caller(make.catalog("3").vendor), use, 0.05) == use.status
        reset(first)
        waiting(use, 1)
        assert status(url, client, use, 0.05) == use.status
        reset(second)
        waiting(use, 0)


def test_error_of_the_database_ends_a_wait_at_its_deadline_only(
    url: str, client: Caller, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, failures = use.kind.turn, iter([OperationalError("on purpose")] * 2)

    def failing(error: Exception | None) -> float:
        if error is not None:
            raise error
        return turn()

    monkeypatch.setattr(observer, "_FAILURE_PAUSE", 0.01)
    monkeypatch.setattr(use.kind, "turn", lambda: failing(next(failures, None)))
    assert status(url, client, use, 0.2) == use.status
    assert next(failures, None) is None
    monkeypatch.setattr(use.kind, "turn", lambda: failing(OperationalError("on purpose")))
    assert status(url, client, use, 0.05) == 503


def test_server_that_stops_ends_its_waits(client: Caller, settings: Any, use: Use) -> None:
    method, path, body = use.request(600)
    with serving(get_wsgi_application(), settings) as url:
        line = connect(url, 30)
        send(line, client, method, path, body)
        waiting(use, 1)
    with line:
        code, _, content = read(line, method)
    assert (code, json.loads(content)["error_code"]) == (503, "SYS_503")
    until(lambda: "observer" not in threads(), "the thread ends")
