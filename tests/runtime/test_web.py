"""The web server: validations have separate threads, and stops end requests in time."""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connections

from connect_sim import web
from connect_sim.server.django_app import is_validation, may_wait
from connect_sim.server.thread_pools import ThreadPool
from tests.engines import until
from tests.handlers import Handler, handler
from tests.make import CONTACT
from tests.processes import ROOT, Sandbox, free_port, restart, sandbox
from tests.runtime.distributed import seeded_database, server
from tests.runtime.serving import App, connect, read, serving

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
    with serving(app, settings) as url, connect(url) as line:
        line.sendall(f"POST {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert read(line)[2].decode().startswith(f"{path} by {pool}-")


# -- pools do not block each other


def test_slow_forms_below_double_slashes_do_not_stop_the_api(settings: Any) -> None:
    app = App()
    with serving(app, settings, threads=2, validations=10) as url, ExitStack() as stack:
        lines = [stack.enter_context(connect(url)) for _ in range(10)]
        for line in lines:
            line.sendall(b"POST //forms/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
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
    with serving(app, settings, threads=2) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as line:
            line.sendall(b"".join(f"POST {p} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for p in paths))
            assert app.arrived.get(timeout=10) == VALIDATE
            # The next request of the connection has not started.
            assert get(f"{url}/other").startswith("/other")
            assert app.arrived.get(timeout=10) == "/other"
            app.release.set()
            received = b""
            while received.count(b" by ") < len(paths):
                chunk = line.recv(65536)
                assert chunk, f"closed after {received!r}"
                received += chunk
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


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_stop_waits_for_requests_in_flight(settings: Any, host: str) -> None:
    settings.SIM_BIND = f"{host}:{free_port()}"
    settings.SIM_VALIDATIONS = 2
    app = App()
    server = web.Web(app, 1)
    server.start()
    url = f"http://{settings.SIM_BIND}"
    with requests.Session() as kept_alive:
        assert kept_alive.get(f"{url}/", timeout=20).ok
        waiting = in_background(lambda: post(f"{url}{VALIDATE}"))
        assert [app.arrived.get(timeout=10) for _ in range(2)] == ["/", VALIDATE]
        stopped = in_background(server.stop)
        until(lambda: not connects(settings.SIM_BIND), "no more connections")
        app.release.set()
        stopped()
        assert not server.is_running()
        assert waiting().startswith(VALIDATE)


def test_request_that_exceeds_the_grace_period_gets_503(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SIM_BIND = f"127.0.0.1:{free_port()}"
    monkeypatch.setattr(web, "GRACE", 0.2)
    app = App()
    server = web.Web(app, 1)
    server.start()
    url = f"http://{settings.SIM_BIND}{VALIDATE}"
    waiting = in_background(lambda: requests.post(url, timeout=20))
    assert app.arrived.get(timeout=10) == VALIDATE
    server.stop()
    assert not server.is_running()
    response = waiting()
    app.release.set()
    assert response.status_code == 503
    assert response.json()["error_code"] == "SYS_503"


def connects(bind: str) -> bool:
    host, _, port = bind.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


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


def _validated_draft(box: Sandbox, served: Handler) -> str:
    """Create a validator and a draft, and return the path of its validation."""
    product = "PRD-362-917-440"
    box.as_vendor(
        "POST",
        "/notifications/webhooks",
        {
            "label": "Cart",
            "product_id": product,
            "type": "validator",
            "active": True,
            "object_class": "fulfillment_request",
            "external_url": served.url,
            "jwt_secret": "JWT-secret-of-thirty-two-bytes-or-more",
        },
    )
    [connection, *_] = box.as_distributor("GET", f"/products/{product}/connections")
    [item, *_] = box.as_distributor("GET", f"/products/{product}/items")
    tier = {"name": "Harbour Cafe", "contact_info": CONTACT}
    draft = box.as_distributor(
        "POST",
        "/requests",
        {
            "type": "purchase",
            "status": "draft",
            "asset": {
                "connection": {"id": connection["id"]},
                "items": [{"id": item["id"], "quantity": 1}],
                "tiers": {"customer": tier, "tier1": tier},
            },
        },
    )
    return f"/public/v1/requests/{draft['id']}/validate"


def test_stop_of_sandbox_ends_validation_in_flight(tmp_path: Path) -> None:
    with handler(None) as served, sandbox(tmp_path / "data") as box:
        path = _validated_draft(box, served)
        waiting = in_background(lambda: box.call("POST", path, key=box.provider_key))
        served.next()
        # Other requests are served meanwhile.
        assert box.as_vendor("GET", "/requests?limit=1")
        started = time.monotonic()
        assert box.process.stop() == 0
        assert time.monotonic() - started < 15
        response = waiting()
        assert (response.status_code, response.json()) == (
            400,
            {
                "error_code": "VAL_100",
                "errors": [
                    "Validation service is not available.",
                    "Sandbox stopped during the request: the outcome is unknown.",
                ],
            },
        )
        restart(box)
        [hook] = box.as_vendor("GET", "/notifications/webhooks?type=validator")
        assert (hook["stats"]["triggers"], hook["stats"]["failure_triggers"]) == (1, 0)


@pytest.mark.postgres
@pytest.mark.nightly(reason="test_distributed.py stops such a process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_of_web_process_ends_validation_in_flight(
    tmp_path: Path, number: signal.Signals
) -> None:
    broker = f"redis://127.0.0.1:{free_port()}/0"
    with (
        handler(None) as served,
        seeded_database() as database,
        server(tmp_path, database, broker, workers=0, beat=False) as running,
    ):
        path = _validated_draft(running, served)
        waiting = in_background(lambda: running.call("POST", path, key=running.provider_key))
        served.next()
        started = time.monotonic()
        assert running.process.stop(number) == 0
        assert time.monotonic() - started < 10
        response = waiting()
        assert response.status_code == 400 and "Sandbox stopped" in response.json()["errors"][1]


def test_validation_of_a_killed_sandbox_is_recorded_at_the_next_start(tmp_path: Path) -> None:
    with handler(None) as served, sandbox(tmp_path / "data") as box:
        path = _validated_draft(box, served)

        def validate() -> str:
            try:
                return str(box.call("POST", path, key=box.provider_key).status_code)
            except requests.ConnectionError:
                return "connection lost"

        waiting = in_background(validate)
        served.next()
        box.process.kill()
        assert waiting() == "connection lost"
        restart(box)

        def stats() -> dict[str, int]:
            [hook] = box.as_vendor("GET", "/notifications/webhooks?type=validator")
            statistics: dict[str, int] = hook["stats"]
            return statistics

        until(lambda: stats()["triggers"] == 1, "the lost attempt")
        assert stats()["events"] == 1
        assert (stats()["success_triggers"], stats()["failure_triggers"]) == (0, 0)
        assert len(served.received) == 1
        served.respond = lambda request: (200, b"{}")
        assert box.call("POST", path, key=box.provider_key).status_code == 200
        assert (stats()["triggers"], stats()["success_triggers"]) == (2, 1)
