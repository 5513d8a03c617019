"""The web server: validations have separate threads, and stops end requests in time."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from django.db import connections

from connect_sim import web
from connect_sim.server.django_app import is_validation, may_wait
from connect_sim.server.thread_pools import ThreadPool
from tests.engines import until
from tests.processes import ROOT, listens
from tests.runtime.serving import App, ask, connect, head, read, read_until, serving, stoppable

VALIDATE = "/public/v1/requests/PR-1/validate"


def in_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Run a function in a thread; return a function that waits for its result."""
    results: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=lambda: results.put(work()), daemon=True).start()
    return lambda: results.get(timeout=20)


def get(url: str) -> str:
    return requests.get(url, timeout=20).text


def post(url: str) -> str:
    return requests.post(url, timeout=20).text


# -- requests that may wait for a validator


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (VALIDATE, True),
        ("/queues/fulfillment/PR-1/validate/", True),
        ("/public/v1/tier/config-requests/TCR-1/validate", True),
        ("/forms/anything", True),
        ("/public/v1/usage/files/UF-1/submit", True),
        ("/public/v1/usage/files/UF-1/submit/records", False),
        ("/public/v1/listing-requests/LSTR-1/submit", False),
        ("/public/v1/requests", False),
        ("/public/v1/requests/validate-me", False),
        ("/public/v1/requests/PR-1/approve", False),
        ("/admin/forms/", False),
        ("/validated", False),
        ("/", False),
        ("", False),
    ],
)
def test_validations_forms_and_submits_of_usage_may_wait(path: str, expected: bool) -> None:
    assert may_wait("POST", path) is expected
    assert not may_wait("GET", path) and not may_wait("HEAD", path)
    # A submit waits without a thread.
    assert is_validation("POST", path) is (expected and "usage" not in path)


def test_request_runs_in_the_pool_of_its_path(settings: Any) -> None:
    app = App()
    app.release.set()
    with serving(app, settings) as url:
        assert post(f"{url}{VALIDATE}?x=/requests").startswith(f"{VALIDATE} by waits-for-validator")
        assert "waits-for-validator" in post(f"{url}/public/v1/requests/PR-1/valid%61te")
        assert "by web-" in post(f"{url}/public/v1/requests?next=/validate")
        assert "by web-" in get(f"{url}{VALIDATE}")


@pytest.mark.parametrize(
    ("target", "path", "pool"),
    [
        ("//forms/PR-1", "/forms/PR-1", "waits-for-validator"),
        ("/%2fforms/PR-1", "/forms/PR-1", "waits-for-validator"),
        ("/forms%2FPR-1", "/forms/PR-1", "waits-for-validator"),
        ("//public//v1/requests/PR-1//validate//", VALIDATE, "waits-for-validator"),
        ("/public/v1/requests/PR-1/validate%2f", VALIDATE, "waits-for-validator"),
        ("//sign-in/", "/sign-in/", "sign-in"),
        ("/sign-in//", "/sign-in/", "sign-in"),
        ("/%2F/sign%2din%2f", "/sign-in/", "sign-in"),
        ("//admin//login/", "/admin/login/", "sign-in"),
        # Unknown paths for Django.
        ("/./forms/PR-1", "/./forms/PR-1", "web"),
        ("/./sign-in/", "/./sign-in/", "web"),
    ],
)
def test_pool_is_chosen_by_the_path_that_django_serves(
    settings: Any, target: str, path: str, pool: str
) -> None:
    app = App()
    app.release.set()
    with serving(app, settings) as url:
        content = ask(url, head(target, method="POST"))[2]
    assert content.decode().startswith(f"{path} by {pool}-")


# -- pools do not block each other


def test_slow_forms_below_double_slashes_do_not_stop_the_api(settings: Any) -> None:
    app = App()
    with serving(app, settings, threads=2, validations=10) as url, ExitStack() as stack:
        lines = [stack.enter_context(connect(url)) for _ in range(10)]
        for line in lines:
            line.sendall(head("//forms/x", method="POST"))
        assert [app.arrived.get(timeout=10) for _ in lines] == ["/forms/x"] * 10
        assert get(f"{url}/quick").startswith("/quick by web-")
        app.release.set()
        assert [read(line)[0] for line in lines] == [200] * 10


def test_waiting_validations_do_not_delay_other_requests(settings: Any) -> None:
    app = App()
    with serving(app, settings, threads=1, validations=3) as url:
        # More validations than threads.
        waiting = [in_background(lambda n=n: post(f"{url}/{n}/validate")) for n in range(5)]
        assert sorted(app.arrived.get(timeout=10)[-8:] for _ in range(3)) == ["validate"] * 3
        for _ in range(3):
            started = time.monotonic()
            assert get(f"{url}/quick").startswith("/quick by web-")
            assert time.monotonic() - started < 2
        assert [app.arrived.get(timeout=10) for _ in range(3)] == ["/quick"] * 3
        app.release.set()
        texts = [wait() for wait in waiting]
    assert all(f"/{n}/validate by waits" in text for n, text in enumerate(texts))


def test_slow_ordinary_requests_do_not_delay_validations(settings: Any) -> None:
    app, held = App(), threading.Event()
    app.release.set()
    app.inside = lambda path: held.wait(30) if path == "/slow" else None
    with serving(app, settings, threads=1) as url:
        slow = in_background(lambda: get(f"{url}/slow"))
        assert post(f"{url}{VALIDATE}").startswith(VALIDATE)
        held.set()
        assert slow().startswith("/slow")


def test_pipelined_requests_get_responses_in_order(settings: Any) -> None:
    app = App()
    paths = [VALIDATE, "/a", "/1/validate/", "/b", "/forms/x", "/c"]
    with serving(app, settings, threads=2) as url, connect(url) as line:
        line.sendall(b"".join(head(path, method="POST") for path in paths))
        assert app.arrived.get(timeout=10) == VALIDATE
        # The next request of the connection has not started.
        assert get(f"{url}/other").startswith("/other")
        assert app.arrived.get(timeout=10) == "/other"
        app.release.set()
        received = read_until(line, lambda received: received.count(b" by ") == len(paths))
    assert [app.arrived.get(timeout=10) for _ in paths[1:]] == paths[1:]
    positions = [received.index(f"\r\n\r\n{p} by ".encode()) for p in paths]
    assert positions == sorted(positions) and received.count(b"HTTP/1.1 200 OK") == len(paths)


def test_exception_does_not_end_its_thread(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.release.set()

    def fail(path: str) -> None:
        raise RuntimeError("on purpose")

    app.inside = fail
    with serving(app, settings, validations=1) as url:
        for _ in range(3):
            assert requests.post(f"{url}{VALIDATE}", timeout=20).status_code == 500
        app.inside = lambda path: None
        assert post(f"{url}{VALIDATE}").startswith(VALIDATE)
    assert caplog.text.count("on purpose") >= 3


@pytest.mark.django_db(transaction=True)
def test_validation_thread_closes_its_database_connection(settings: Any) -> None:
    app = App()
    app.release.set()
    opened: list[Any] = []

    def connect(path: str) -> None:
        connections["default"].ensure_connection()
        opened.append(connections["default"])
        assert connections["default"].connection is not None

    app.inside = connect
    with serving(app, settings, validations=1) as url:
        for _ in range(3):
            post(f"{url}{VALIDATE}")
            # The connection belongs to the other thread: only read its attribute.
            until(lambda: opened[-1].connection is None, "the connection is closed")
    assert len(opened) == 3


# -- stopping


def test_stop_waits_for_requests_in_flight(settings: Any) -> None:
    app = App()
    with (
        stoppable(app, settings, validations=2) as (url, server),
        requests.Session() as kept_alive,
    ):
        assert kept_alive.get(f"{url}/", timeout=20).ok
        waiting = in_background(lambda: post(f"{url}{VALIDATE}"))
        assert [app.arrived.get(timeout=10) for _ in range(2)] == ["/", VALIDATE]
        stopped = in_background(server.stop)
        until(lambda: not listens(int(url.rpartition(":")[2])), "no more connections")
        app.release.set()
        stopped()
        assert not server.is_running()
        assert waiting().startswith(VALIDATE)


def test_request_that_exceeds_the_grace_period_gets_503(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "GRACE", 0.2)
    app = App()
    with stoppable(app, settings) as (url, server):
        waiting = in_background(lambda: requests.post(f"{url}{VALIDATE}", timeout=20))
        assert app.arrived.get(timeout=10) == VALIDATE
        server.stop()
        assert not server.is_running()
        response = waiting()
    assert (response.status_code, response.json()["error_code"]) == (503, "SYS_503")


def test_stop_drops_queued_jobs() -> None:
    pool, held, done = ThreadPool(1, "test"), threading.Event(), threading.Event()
    began = threading.Event()
    later: list[str] = []

    def hold() -> None:
        began.set()
        held.wait(10)

    pool.submit(hold)
    assert began.wait(10)
    pool.submit(lambda: later.append("run"))
    pool.stop()
    held.set()
    pool.submit(done.set)
    until(
        lambda: not any(t.name.startswith("test-") for t in threading.enumerate()),
        "the threads end",
    )
    assert later == [] and not done.is_set()


def test_hanging_thread_does_not_delay_the_exit() -> None:
    """A second signal raises SystemExit, which must not wait for a hanging request."""
    script = (
        "import threading\n"
        "from connect_sim.server.thread_pools import ThreadPool\n"
        "began = threading.Event()\n"
        "ThreadPool(1, 'hangs').submit(lambda: (began.set(), threading.Event().wait()))\n"
        "assert began.wait(10)\n"
        "raise SystemExit(143)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=20)
    assert ended.returncode == 143
