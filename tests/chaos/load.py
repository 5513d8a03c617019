"""Callers of the API during a case: orders at a steady rate, and a list in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count, cycle
from pathlib import Path
from typing import Any

import requests

from tests import orders
from tests.chaos.invariants import Answer
from tests.chaos.setups import SetUp

_PATIENCE = 600.0  # seconds by which orders may be late, on a busy machine
_TIMEOUT = 15.0  # seconds; longer than any response should take
_AGAIN = 0.1  # seconds after a refused call
_READ = "/notifications/webhooks?limit=5"
_READ_EVERY = 0.25  # seconds


class Load:
    """Orders until the API has confirmed `changes` of them, spread over `seconds`.

    An order that is refused is made again. While the set-up is down on purpose, callers that can't
    connect wait, and nothing is recorded. `keys` are those of the vendor and of the distributor,
    which the calls use in turn; by default one of each.
    """

    def __init__(
        self,
        setup: SetUp,
        changes: int,
        seconds: float,
        callers: int = 2,
        keys: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> None:
        self.answers: list[Answer] = []
        self._setup, self._pause, self._changes = setup, seconds / changes, changes
        self._numbers, self._ended = count(), threading.Event()
        self._started, self._seconds = 0.0, seconds
        self._body = _order(setup)
        platform = setup.platform
        vendor, distributor = keys or ([platform.vendor_key], [platform.provider_key])
        self._vendor, self._distributor = cycle(vendor), cycle(distributor)
        self._callers = [threading.Thread(target=self._order) for _ in range(callers)]
        self._reader = threading.Thread(target=self._read)

    def start(self) -> None:
        """Start the callers."""
        self._started = time.monotonic()
        for thread in (*self._callers, self._reader):
            thread.start()

    def wait(self) -> bool:
        """Wait until all orders are confirmed, which they should be in time; return whether."""
        deadline = self._started + self._seconds + _PATIENCE
        for thread in self._callers:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._callers)

    def finish(self) -> None:
        """Wait until all orders are confirmed, and end the callers."""
        if not self.wait():
            seconds = self._seconds + _PATIENCE
            text = f"not all {self._changes} orders were accepted within {seconds:g} s"
            self.answers.append(Answer(0, 0, text))
        self._ended.set()
        for thread in (*self._callers, self._reader):
            thread.join(_TIMEOUT)

    def order(self) -> str:
        """Make an order, again until it is accepted, and return its id; empty if that failed."""
        with requests.Session() as session:
            while not self._ended.is_set():
                if pk := self._call(session, "POST", "/requests", self._body):
                    return pk
                self._ended.wait(_AGAIN)
        return ""

    def _order(self) -> None:
        for number in iter(self._numbers.__next__, None):
            due = self._started + number * self._pause
            if number >= self._changes or self._ended.wait(max(0.0, due - time.monotonic())):
                return
            self.order()

    def _read(self) -> None:
        with requests.Session() as session:
            while not self._ended.wait(_READ_EVERY):
                self._call(session, "GET", _READ)

    def _call(self, session: requests.Session, method: str, path: str, body: Any = None) -> str:
        """Call the API, record the answer, and return the id of what was created."""
        platform = self._setup.platform
        key = next(self._distributor if body else self._vendor)
        pid = platform.process.popen.pid
        was_down, began, waits = self._setup.is_down, time.monotonic(), _cpu_waits(pid)
        try:
            response = session.request(
                method,
                f"{platform.url}/public/v1{path}",
                json=body,
                timeout=_TIMEOUT,
                headers={"Authorization": f"ApiKey {key}", **platform.headers},
            )
        except requests.RequestException as error:
            if not (was_down or self._setup.is_down):
                seconds = time.monotonic() - began
                text = f"{method} {path}: no response after {seconds:.1f} s ({error})"
                self.answers.append(Answer(seconds, 0, text))
            return ""
        seconds, problem = time.monotonic() - began, _problem(response)
        created = str(response.json()["id"]) if body and response.status_code == 201 else ""
        text = problem and f"{method} {path}: {problem}"
        waited = _waited(waits, _cpu_waits(pid))
        self.answers.append(Answer(seconds, response.status_code, text, created, waited))
        return created


def _cpu_waits(pid: int) -> dict[str, float]:
    """Return how many seconds each thread of a process has waited for a CPU."""
    waits = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            waits[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return waits


def _waited(before: dict[str, float], after: dict[str, float]) -> float:
    """Return how long a call may have waited for a CPU: in the thread of the event loop, and in one
    that runs the view."""
    waits = sorted(after[name] - before.get(name, 0.0) for name in after)
    return sum(waits[-2:])


def _problem(response: requests.Response) -> str:
    """Return what is wrong with a response: neither a success, nor Connect's error with 503."""
    try:
        content = response.json()
    except ValueError:
        return f"{response.status_code} without JSON: {response.text[:200]!r}"
    if response.ok:
        return ""
    has_form = (
        isinstance(content, dict)
        and isinstance(content.get("error_code"), str)
        and isinstance(content.get("errors"), list)
    )
    if response.status_code == 503 and has_form:
        return ""
    return f"{response.status_code}: {response.text[:300]}"


def _order(setup: SetUp) -> dict[str, Any]:
    """Return the body of an order, whose tier accounts exist."""
    first = orders.purchase(setup.platform)
    asset = first["asset"]
    tiers = {name: {"id": tier["id"]} for name, tier in asset["tiers"].items() if tier.get("id")}
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": asset["connection"]["id"]},
            "items": [{"id": orders.item(setup.platform)["id"], "quantity": 5}],
            "tiers": tiers,
        },
    }
