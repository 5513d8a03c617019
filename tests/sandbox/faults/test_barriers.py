"""Held responses: what is shown of them, and everything that releases them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError

from sandbox.faults import api_side, armed
from sandbox.models import Fault, HeldResponse
from sandbox.timeline import activity, observer
from tests.api import Caller
from tests.background import concurrently, threads
from tests.engines import until
from tests.runtime.serving import connect, read, serving
from tests.sandbox.faults.conftest import Arm
from tests.sandbox.waits.test_waits_at_the_socket import send

pytestmark = pytest.mark.django_db(transaction=True)

API = "/public/v1"
HOLDS = "hold", "hold_call"


class Site:
    """The web server, and clients whose responses are held."""

    def __init__(self, url: str, client: Caller, stack: contextlib.ExitStack) -> None:
        self.url, self.client, self._stack = url, client, stack

    def call(self, path: str, method: str = "GET", body: Any = None) -> socket.socket:
        """Send a call on a connection of its own."""
        line = self._stack.enter_context(connect(self.url, 30))
        send(line, self.client, method, path, body)
        return line

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Return the answer of the sandbox's API, through the web server."""
        with connect(self.url, 30) as line:
            send(line, self.client, method, f"/sandbox{path}", body)
            status, _, content = read(line, method)
        assert status == 200, content
        return json.loads(content)

    def hold(self, fault: dict[str, Any], path: str) -> socket.socket:
        """Send a call, and wait until its response is held too."""
        count = len(self.ask(f"/faults/{fault['id']}")["held"])
        line = self.call(f"{API}{path}")
        found = self.ask(f"/faults/{fault['id']}?held={count + 1}&timeout=30")
        assert len(found["held"]) == count + 1
        return line


@pytest.fixture
def site(client: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # Everything is noticed by a notification.
    monkeypatch.setattr(api_side, "INTERVAL", 3600.0)
    application = get_wsgi_application()
    with serving(application, settings, threads=2) as url, contextlib.ExitStack() as stack:
        yield Site(url, client, stack)


def is_silent(line: socket.socket) -> bool:
    return not select.select([line], [], [], 0)[0]


def paths(calls: list[dict[str, Any]]) -> list[str]:
    return [call["path"] for call in calls]


def test_oldest_responses_are_released_first(site: Site, arm: Arm) -> None:
    fault = arm("hold", side="api", after=1)
    release = f"/faults/{fault['id']}/release"
    with connect(site.url) as line:
        send(line, site.client, "GET", f"{API}/requests")
        assert read(line)[0] == 200
    lines = [site.hold(fault, f"/requests/PR-{n}") for n in range(4)]
    assert site.ask(f"/faults/{fault['id']}")["held"] == [
        {"ordinal": n + 2, "method": "GET", "path": f"/requests/PR-{n}"} for n in range(4)
    ]
    assert all(is_silent(line) for line in lines)
    answer = site.ask(release, "POST", {"count": 1})
    assert paths(answer["released"]) == ["/requests/PR-0"]
    assert paths(answer["held"]) == ["/requests/PR-1", "/requests/PR-2", "/requests/PR-3"]
    assert read(lines[0])[0] == 404
    assert all(is_silent(line) for line in lines[1:])
    assert len(site.ask(release, "POST", {})["released"]) == 3
    assert [read(line)[0] for line in lines[1:]] == [404] * 3
    # It holds the next one again.
    line = site.hold(fault, "/products")
    assert is_silent(line)
    assert site.ask(release, "POST", {"count": 5})["held"] == []
    assert read(line)[0] == 200
    assert site.ask(release, "POST", {}) == {"released": [], "held": []}


def test_fault_has_fired_for_all_that_it_holds(
    site: Site, arm: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, lines = arm("hold", side="api"), list[socket.socket]()

    def interrupted(read: Callable[..., Any]) -> Callable[..., Any]:
        """A call is held after the first of two reads."""

        def read_first(*args: Any) -> Any:
            found = read(*args)
            if threading.current_thread() is asking and not lines:
                lines.append(site.call(f"{API}/requests"))
                until(lambda: HeldResponse.objects.exists(), "the call is held")
            return found

        return read_first

    asking = threading.current_thread()
    for where, name in ((armed, "get"), (api_side, "held")):
        monkeypatch.setattr(where, name, interrupted(getattr(where, name)))
    shown = site.client.call("GET", f"/sandbox/faults/{fault['id']}").json
    assert lines and len(shown["held"]) <= shown["fired"]


@pytest.mark.parametrize("kind", HOLDS)
def test_fifty_held_calls_hold_no_thread_and_are_in_flight(site: Site, arm: Arm, kind: str) -> None:
    fault = arm(kind, side="api", times=50)
    lines = [site.call(f"{API}/requests") for _ in range(50)]
    found = site.ask(f"/faults/{fault['id']}?held=50&timeout=60")
    assert sorted(call["ordinal"] for call in found["held"]) == list(range(1, 51))
    assert found["is_armed"] is False
    assert activity.in_flight() == 50
    [waiting] = site.ask("/clock")["waiting_for"]
    assert waiting["kind"] == "api_calls"
    # The two threads are free.
    assert site.client.get("/requests").status == 200
    names = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("web-") for name in names) <= 2
    assert all(is_silent(line) for line in lines)
    site.ask(f"/faults/{fault['id']}/release", "POST", {})
    assert [read(line)[0] for line in lines] == [200] * 50
    until(lambda: not activity.in_flight(), "no call is in flight")
    until(lambda: "observer" not in threads(), "the thread ends")


def expire(site: Site, pk: str) -> None:
    Fault.objects.update(expires=1.0)
    observer.announce()


def reset(site: Site, pk: str) -> None:
    assert site.ask("/reset", "POST", {})["unsettled"] == []


@pytest.mark.parametrize(
    "end",
    [
        lambda site, pk: site.ask(f"/faults/{pk}", "DELETE"),
        lambda site, pk: site.ask("/faults", "DELETE"),
        expire,
        reset,
    ],
    ids=["clear", "clear all", "expire", "reset"],
)
@pytest.mark.parametrize("kind", HOLDS)
def test_responses_are_sent_when_the_fault_ends(
    site: Site, arm: Arm, kind: str, end: Callable[[Site, str], Any]
) -> None:
    fault = arm(kind, side="api", ttl=3600)
    line = site.hold(fault, "/requests")
    end(site, fault["id"])
    assert read(line)[0] == 200
    until(lambda: not HeldResponse.objects.exists(), "the row is deleted")
    assert Fault.objects.filter(is_cleared=False).exists() == (end is expire)


def test_client_that_leaves_is_not_held_any_more(site: Site, arm: Arm) -> None:
    fault = arm("hold", side="api")
    site.hold(fault, "/requests").close()
    stays = site.call(f"{API}/products")
    until(
        lambda: paths(site.ask(f"/faults/{fault['id']}")["held"]) == ["/products"],
        "only the client that stays",
    )
    assert is_silent(stays)


@pytest.mark.parametrize(("kind", "status"), [("hold", 200), ("hold_call", 503)])
def test_stopping_server_answers_what_it_holds(
    client: Caller, arm: Arm, settings: Any, kind: str, status: int
) -> None:
    fault = arm(kind, side="api")
    with contextlib.ExitStack() as lines:
        with serving(get_wsgi_application(), settings) as url:
            site = Site(url, client, lines)
            line = site.hold(fault, "/requests")
        assert read(line)[0] == status
    assert client.get(f"/sandbox/faults/{fault['id']}").json["held"] == []
    until(lambda: not HeldResponse.objects.exists(), "the row is deleted")


def test_wait_for_held_responses_ends_with_the_fault(site: Site, arm: Arm) -> None:
    fault = arm("hold", side="api")
    line = site.call(f"/sandbox/faults/{fault['id']}?held=1&timeout=600")
    until(lambda: observer.waiting(api_side.callers), "the wait begins")
    site.ask("/faults", "DELETE")
    assert read(line)[0] == 404


def test_nothing_is_held_while_the_database_is_unavailable(
    site: Site, arm: Arm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*arguments: Any) -> None:
        raise OperationalError("secret of the database")

    arm("hold", side="api")
    monkeypatch.setattr(api_side.responses, "hold", failing)
    assert read(site.call(f"{API}/requests"))[0] == 200
    assert caplog.messages == ["A response could not be held: OperationalError"]


def test_concurrent_releases_release_each_response_once(site: Site, arm: Arm) -> None:
    fault = arm("hold", side="api")
    lines = [site.hold(fault, f"/requests/PR-{n}") for n in range(6)]
    release = f"/faults/{fault['id']}/release"
    answers = concurrently(*[lambda: site.ask(release, "POST", {"count": 2})] * 3)
    released = [path for answer in answers for path in paths(answer["released"])]
    assert sorted(released) == [f"/requests/PR-{n}" for n in range(6)]
    assert [read(line)[0] for line in lines] == [404] * 6


def test_row_of_a_process_that_was_killed_is_not_shown(client: Caller, arm: Arm) -> None:
    fault = arm("hold", side="api")
    HeldResponse.objects.create(
        fault_id=fault["id"], number=1, method="GET", path="/requests", seen=1.0
    )
    assert client.get(f"/sandbox/faults/{fault['id']}").json["held"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("GET", "?held=0", None, "held: Ensure this value is between 1 and 10000."),
        ("GET", "?held=x", None, "held: A valid integer is required."),
        ("GET", "?held=1&timeout=601", None,
         "timeout: Ensure this value is between 0 and 600 seconds."),
        ("POST", "/release", {"count": 0}, "count: Ensure this value is between 1 and 10000."),
        ("POST", "/release", {"count": "1"}, "count: A valid integer is required."),
        ("POST", "/release", {"cuont": 1},
         "cuont: Unknown key. Available: count. Did you mean count?"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(
    client: Caller, arm: Arm, method: str, path: str, body: Any, error: str
) -> None:
    fault = arm("hold", side="api")
    response = client.call(method, f"/sandbox/faults/{fault['id']}{path}", body)
    assert (response.status, response.json["errors"]) == (400, [error])


def test_unknown_fault_is_missing(client: Caller) -> None:
    assert client.get("/sandbox/faults/FLT-1?held=1").status == 404
    assert client.post("/sandbox/faults/FLT-1/release", {}).status == 404
