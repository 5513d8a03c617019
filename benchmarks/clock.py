"""Measure moves of the sandbox's clock: the retries of a dead handler to out of order."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import requests

from benchmarks.processes import ROOT, BenchmarkError, environment, running, wait_until
from benchmarks.run import Run
from benchmarks.servers import free_port
from benchmarks.table import Bound, Row

OUT_OF_ORDER = Bound(2)
_FAILURES = 10
PRODUCT = "PRD-814-505-018"


@dataclass(frozen=True, slots=True)
class Clock:
    """Sizes of a run: rounds of retries, and of moves that have nothing to do."""

    rounds: int
    moves: int


QUICK, FULL = Clock(rounds=1, moves=3), Clock(rounds=5, moves=50)


class Sandbox:
    """A client of a running sandbox's API."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self._url, self._keys = url, keys
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, body: Any = None, party: str = "vendor") -> Any:
        """Call the API as one of the parties, and return the decoded answer."""
        headers = {
            "Authorization": f"ApiKey {self._keys[f'{party}_api_key']}",
            "X-Sandbox-Actor": "test",
        }
        response = self._session.request(
            method, f"{self._url}{path}", json=body, headers=headers, timeout=60
        )
        if not response.ok:
            raise BenchmarkError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None


def measure_clock(run: Run) -> list[Row]:
    """Run a sandbox and return the rows."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    port, data = free_port(), folder / "clock"
    env = environment(SIM_DATA_DIR=str(data), SIM_BIND=f"127.0.0.1:{port}")
    command = [sys.executable, str(ROOT / "manage.py"), "sandbox"]
    with running(command, env, folder / "clock.log") as server:
        file = data / "sandbox.json"
        wait_until(file.exists, "the sandbox is up", timeout=120, check=server)
        sandbox = Sandbox(f"http://127.0.0.1:{port}", json.loads(file.read_text()))
        sandbox.call("POST", "/sandbox/clock/run-until-idle", {})
        runs = [
            _fail_until_out_of_order(sandbox, f"{run.handler_url}/fail/{n}")
            for n in range(sizes.rounds)
        ]
        idle = [_timed(sandbox, "advance", {"by": "1s"})[0] for _ in range(sizes.moves)]
    hours = median(simulated for _, simulated in runs) / 3600
    return [
        Row(
            "clock",
            f"{_FAILURES} failures to out of order ({hours:.0f} h), s",
            median(seconds for seconds, _ in runs),
            None,
            "",
            OUT_OF_ORDER,
        ),
        Row("clock", "a move on whose way nothing is due, ms", median(idle) * 1e3),
    ]


def _fail_until_out_of_order(sandbox: Sandbox, url: str) -> tuple[float, float]:
    """Let a handler fail until it is out of order; return real and simulated seconds."""
    hook = sandbox.call(
        "POST",
        "/public/v1/notifications/webhooks",
        {
            "label": "Benchmark",
            "product_id": PRODUCT,
            "object_class": "fulfillment_request",
            "external_url": url,
            "jwt_secret": "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10",
        },
    )
    sample = {"queue": "fulfillment", "type": "purchase", "product": PRODUCT}
    sandbox.call("POST", "/sandbox/queue/samples", sample)
    seconds, moved = _timed(sandbox, "run-until-idle", {})
    path = f"/public/v1/notifications/webhooks/{hook['id']}"
    failures = sandbox.call("GET", path)["stats"]["failure_triggers"]
    if failures != _FAILURES:
        raise BenchmarkError(f"{failures} failures instead of {_FAILURES}")
    sandbox.call("DELETE", path)
    start, end = (datetime.fromisoformat(moved[name]) for name in ("from", "now"))
    return seconds, (end - start).total_seconds()


def _timed(sandbox: Sandbox, name: str, body: Any) -> tuple[float, Any]:
    began = time.monotonic()
    moved = sandbox.call("POST", f"/sandbox/clock/{name}", body)
    return time.monotonic() - began, moved
