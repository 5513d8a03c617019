"""A check beside a running sandbox that is killed or suspended, and the one after it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from checks import lanes, sharing
from checks.client import ApiError, Client
from checks.lanes import CannotRun
from checks.options import Options, RunningSandbox
from checks.sharing import Lease, LeaseLost
from tests import orders, patched_time
from tests.engines import until
from tests.handlers import handler
from tests.processes import ROOT, Process, Sandbox, environment, free_port, manage, sandbox

CHANGED = (
    "An earlier run of checks was killed: its webhooks and snapshots were removed. The sandbox was "
    "not restored, because it has been changed since."
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running.as_tester()


@pytest.fixture
def running(shared: Sandbox) -> Sandbox:
    """The sandbox with the demo data, and no snapshot of an earlier test."""
    shared.call("POST", "/sandbox/reset", {"patience": 0})
    for name in snapshots(shared):
        if name != "seed":
            shared.call("DELETE", f"/sandbox/snapshots/{name}")
    execute(shared, "DELETE FROM sandbox_lease")
    return shared


@pytest.fixture(scope="module")
def good(shared: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a handler that processes its orders."""
    port = free_port()
    command = manage("listen", "--approve", "--secret", orders.SECRET, "--port", str(port))
    log = tmp_path_factory.mktemp("handler") / "log"
    process = Process(command, shared.process.env, log).start()
    try:
        until(lambda: "Listening at" in process.printed, "the handler", timeout=60)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.stop()


@contextmanager
def checking(running: Sandbox, url: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that checks a handler."""
    words = ["check", url, "--select", "auth.no_header", "--json", "-", *more]
    program = subprocess.Popen(
        [sys.executable, "-m", "connect_sim", *words],
        cwd=ROOT,
        text=True,
        env=environment(running.data_dir, CONNECT_SIM_SECRET=orders.SECRET),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def ended(program: subprocess.Popen[str]) -> tuple[int, Any]:
    """Return the exit code and the report of a process that ends by itself."""
    out, errors = program.communicate(timeout=120)
    assert out, errors
    return program.returncode, json.loads(out)


def check(running: Sandbox, url: str, *more: str) -> tuple[int, Any]:
    """Return the exit code and the notes of a run."""
    with checking(running, url, *more) as program:
        code, report = ended(program)
    return code, report["notes"]


def kill_during_a_check(running: Sandbox) -> None:
    """Kill a process while its first request is in flight."""
    with handler(None) as hanging, checking(running, hanging.url) as program:
        hanging.next()
        program.kill()


def snapshots(running: Sandbox) -> list[str]:
    return [row["name"] for row in running.call("GET", "/sandbox/snapshots").json()]


def webhooks(running: Sandbox) -> list[tuple[str, str, bool]]:
    rows = running.as_vendor("GET", "/notifications/webhooks")
    return sorted((row["id"], row["label"], row["active"]) for row in rows)


def lease(running: Sandbox) -> Any:
    return running.call("GET", "/sandbox/lease").json()["lease"]


def execute(running: Sandbox, statement: str) -> None:
    with sqlite3.connect(running.data_dir / "connect.sqlite3", timeout=30) as database:
        database.execute(statement)
    database.close()


def let_the_lease_expire(running: Sandbox) -> None:
    """Without waiting, as the sandbox sees it."""
    execute(running, "UPDATE sandbox_lease SET expires = expires - 60")


def test_next_run_restores_what_a_killed_run_has_left(running: Sandbox, good: str) -> None:
    own = orders.webhook(running, "http://127.0.0.1:9/")["id"]
    running.call("POST", "/sandbox/snapshots", {"name": "before-check-mine"})
    before, requests = webhooks(running), running.as_vendor("GET", "/requests?limit=1000")
    kill_during_a_check(running)
    # As a check that moves time and arms faults would have left it.
    running.advance("2d")
    running.call("POST", "/sandbox/faults", {"kind": "abort", "path": "/requests"})
    assert (own, "Test", False) in webhooks(running) and len(webhooks(running)) > 1
    assert len(snapshots(running)) == 4
    held = lease(running)
    assert held["note"].startswith("connect-sim check ") and held["expires_in"] <= 30
    with checking(running, good) as program:
        let_the_lease_expire(running)
        code, report = ended(program)
    assert code == 0, report
    assert report["notes"] == [
        "An earlier run of checks was killed: the sandbox was restored as it was before it."
    ]
    assert snapshots(running) == ["before-check-mine", "seed"]
    assert webhooks(running) == before == [(own, "Test", True)]
    assert running.as_vendor("GET", "/requests?limit=1000") == requests
    clock = running.call("GET", "/sandbox/clock").json()
    assert clock["offset"] < 1 and lease(running) is None


@pytest.mark.parametrize("change", ["an order", "an order and a webhook", "a reset and an order"])
def test_next_run_keeps_what_somebody_has_done_since(
    running: Sandbox, good: str, change: str
) -> None:
    kill_during_a_check(running)
    if "reset" in change:
        running.call("POST", "/sandbox/reset", {"patience": 0})
    kept = []
    if "webhook" in change:
        mine = orders.webhook(running, "http://127.0.0.1:9/", label="Check", active=False)
        kept = [(mine["id"], "Check", False)]
    order = orders.purchase(running)["id"]
    let_the_lease_expire(running)
    assert check(running, good) == (0, [CHANGED])
    assert (webhooks(running), snapshots(running)) == (kept, ["seed"])
    assert running.as_vendor("GET", f"/requests/{order}")["id"] == order


def test_next_run_removes_nothing_that_a_run_was_told_to_keep(running: Sandbox, good: str) -> None:
    assert check(running, good, "--keep")[0] == 0
    kept = webhooks(running), snapshots(running)
    assert len(kept[0]) == 3 and len(kept[1]) == 2
    assert check(running, good) == (0, [])
    assert (webhooks(running), snapshots(running)) == kept


def test_run_that_has_lost_its_lease_restores_nothing(running: Sandbox) -> None:
    with handler(None) as hanging, checking(running, hanging.url) as program:
        hanging.next()
        program.send_signal(signal.SIGSTOP)
        let_the_lease_expire(running)
        taken = running.call("POST", "/sandbox/lease", {"note": "somebody else", "ttl": 600})
        order = orders.purchase(running)["id"]
        state = webhooks(running), snapshots(running)
        resets = running.call("GET", "/sandbox/timeline?kind=reset").json()["entries"]
        program.send_signal(signal.SIGCONT)
        hanging.release.set()
        code, report = ended(program)
    assert code == 2
    assert report["error"].startswith("The lease of the sandbox has expired, because")
    assert (webhooks(running), snapshots(running)) == state
    assert running.call("GET", "/sandbox/timeline?kind=reset").json()["entries"] == resets
    assert running.as_vendor("GET", f"/requests/{order}")["id"] == order
    assert lease(running)["note"] == "somebody else" and taken.status_code == 201


def client(running: Sandbox) -> Client:
    return Client(running.url, running.vendor_key)


def test_run_learns_who_has_the_lease(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "WAIT", 0.05)
    first, second, third = (Lease(client(running), f"run {number}") for number in (1, 2, 3))
    first.take()
    with pytest.raises(ApiError, match="leased by run 1, for 30 s unless renewed"):
        second.take()
    assert not second.is_taken
    first.release()
    first.stop()
    third.take()
    third.release()
    third.stop()


def test_interruption_ends_the_wait_for_the_lease(running: Sandbox) -> None:
    held = Lease(client(running), "somebody else")
    held.take()
    keys = (running.vendor_key, running.provider_key)
    used = RunningSandbox(running.url, *keys)
    lane = lanes.RunningLane(Options(url="http://127.0.0.1:9/", secret="x", sandbox=used))
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(lane.open)
        lane.interrupt()
        with pytest.raises(CannotRun, match="interrupted"):
            opened.result(timeout=10)
    lane.close()
    held.release()
    held.stop()
    # The wait goes on in the sandbox, and gives the lease back.
    until(lambda: not waits_for_lease() and lease(running) is None, "the end of the wait")


def waits_for_lease() -> bool:
    return any(thread.name == "check-lease-wait" for thread in threading.enumerate())


def test_lease_is_renewed(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_RENEW", 0.05)
    held = Lease(client(running), "run")
    held.take()
    execute(running, "UPDATE sandbox_lease SET expires = expires - 20")
    until(lambda: lease(running)["expires_in"] > 20, "a renewal")
    let_the_lease_expire(running)
    until(lambda: is_lost(held), "the loss")
    with pytest.raises(LeaseLost):
        held.renew()


def test_lease_that_cannot_be_renewed_counts_as_lost(
    running: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Lease(client(running), "run")
    held.take()
    held.stop()
    later = time.monotonic() + sharing.LEASE
    patched_time.replace(monkeypatch, sharing, monotonic=lambda: later)
    assert is_lost(held)
    held.renew()
    assert not is_lost(held)


def is_lost(held: Lease) -> bool:
    try:
        held.check()
    except LeaseLost:
        return True
    return False
