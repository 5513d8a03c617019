"""Measure waits: with `skip` to the third retry, and the API beside many waits."""

from __future__ import annotations

import json
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.clock import PRODUCT, Sandbox
from benchmarks.processes import (
    ROOT,
    BenchmarkError,
    Process,
    environment,
    module,
    running,
    wait_until,
)
from benchmarks.run import Run
from benchmarks.servers import free_port
from benchmarks.table import Bound, Row

RETRY, BESIDE = Bound(0.3), Bound(2)
_CALLS = 4  # the first attempt and three retries
_PATH = "/public/v1/requests?limit=10"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sizes of a run: rounds, requests per round, waits of the vendor and of the distributor."""

    rounds: int
    requests: int
    waits: int
    more: int


QUICK, FULL = Waiting(1, 200, 200, 50), Waiting(5, 2_000, 200, 50)


def measure_waiting(run: Run) -> list[Row]:
    """Run a sandbox and return the rows."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    port, data = free_port(), folder / "waiting"
    env = environment(SIM_DATA_DIR=str(data), SIM_BIND=f"127.0.0.1:{port}")
    command = [sys.executable, str(ROOT / "manage.py"), "sandbox"]
    with (
        running(command, env, folder / "waiting.log") as server,
        running(module("web.client"), env, folder / "waiting-client.log") as client,
    ):
        file = data / "sandbox.json"
        wait_until(file.exists, "the sandbox is up", timeout=120, check=server)
        keys = json.loads(file.read_text())
        sandbox = Sandbox(f"http://127.0.0.1:{port}", keys)
        sandbox.call("POST", "/sandbox/clock/run-until-idle", {})
        seconds = [
            _third_retry(sandbox, f"{run.handler_url}/fail/{n}") for n in range(sizes.rounds)
        ]
        retry = Row(
            "waiting", "wait with skip to the third retry, s", median(seconds), None, "", RETRY
        )
        return [retry, *_beside_waits(client, port, keys, sizes)]


def _third_retry(sandbox: Sandbox, url: str) -> float:
    """Return the seconds of a wait that moves the clock to the third retry."""
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
    )["id"]
    sample = {"queue": "fulfillment", "type": "purchase", "product": PRODUCT}
    sandbox.call("POST", "/sandbox/queue/samples", sample)
    began = time.monotonic()
    until = {"called": {"webhook": hook, "times": _CALLS}}
    answer = sandbox.call("POST", "/sandbox/wait", {"until": until, "skip": True, "timeout": 30})
    seconds = time.monotonic() - began
    if len(answer["evidence"]) != _CALLS:
        raise BenchmarkError(f"{answer['evidence']} instead of {_CALLS} calls")
    sandbox.call("DELETE", f"/public/v1/notifications/webhooks/{hook}")
    return seconds


def _beside_waits(client: Process, port: int, keys: dict[str, str], sizes: Waiting) -> list[Row]:
    """Measure the duration of a request without and beside waits."""
    common = {
        "port": port,
        "path": _PATH,
        "key": keys["vendor_api_key"],
        "clients": 1,
        "count": sizes.requests,
    }
    client.ask("requests", **common)
    without, beside = [], []
    for _ in range(sizes.rounds):
        without.append(client.ask("requests", **common))
        with ExitStack() as stack:
            for party, count in (("vendor", sizes.waits), ("provider", sizes.more)):
                for _ in range(count):
                    stack.enter_context(_wait(port, keys[f"{party}_api_key"]))
            beside.append(client.ask("requests", **common))
    return [
        Row(
            "waiting",
            f"{name} of a list beside {sizes.waits + sizes.more} waits, ms",
            median(row[name] for row in beside) * 1e3,
            median(row[name] for row in without) * 1e3,
            "without them",
            bound,
        )
        for name, bound in (("p50", BESIDE), ("p99", None))
    ]


def _wait(port: int, key: str) -> socket.socket:
    """Send a wait that does not come true, and return its connection."""
    body = json.dumps({"until": {"called": {"webhook": "WH-000-000-000"}}, "timeout": 600})
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = (
        f"POST /sandbox/wait HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ApiKey {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    line.sendall((head + body).encode())
    return line
