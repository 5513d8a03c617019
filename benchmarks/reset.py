"""Measure resets and restores of a sandbox whose database has many deliveries."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from statistics import median

from benchmarks.clock import PRODUCT, Sandbox
from benchmarks.processes import ROOT, Process, environment, running, wait_until
from benchmarks.run import Run
from benchmarks.servers import free_port
from benchmarks.table import Bound, Row

RESET = Bound(300)  # ms


@dataclass(frozen=True, slots=True)
class Reset:
    """Sizes of a run: deliveries in the database, and rounds."""

    deliveries: int
    rounds: int


QUICK = Reset(deliveries=100, rounds=2)
FULL = Reset(deliveries=1_000, rounds=9)


def measure_reset(run: Run) -> list[Row]:
    """Run a sandbox and return the rows."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    port, data = free_port(), folder / "reset"
    env = environment(SIM_DATA_DIR=str(data), SIM_BIND=f"127.0.0.1:{port}")
    command = [sys.executable, str(ROOT / "manage.py"), "sandbox"]
    with running(command, env, folder / "reset.log") as server:
        file = data / "sandbox.json"
        wait_until(file.exists, "the sandbox is up", timeout=120, check=server)
        sandbox = Sandbox(f"http://127.0.0.1:{port}", json.loads(file.read_text()))
        _deliver(sandbox, server, run.handler_url, sizes.deliveries)
        saved = _timed(sandbox, "snapshots", {"name": "full"})
        restores, resets = [], []
        for _ in range(sizes.rounds):
            restores.append(_timed(sandbox, "snapshots/full/restore", {}))
            resets.append(_timed(sandbox, "reset", {}))
    content = f"{sizes.deliveries} deliveries"
    return [
        Row("reset", f"reset with {content}, ms", median(resets), None, "", RESET),
        Row("reset", f"restore of a snapshot with {content}, ms", median(restores)),
        Row("reset", f"save of a snapshot with {content}, ms", saved),
    ]


def _deliver(sandbox: Sandbox, server: Process, handler_url: str, count: int) -> None:
    """Create a webhook, trigger it and wait until all deliveries have ended."""
    hook = sandbox.call(
        "POST",
        "/public/v1/notifications/webhooks",
        {
            "label": "Benchmark",
            "product_id": PRODUCT,
            "object_class": "fulfillment_request",
            "external_url": f"{handler_url}/",
            "jwt_secret": "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10",
        },
    )
    path = f"/public/v1/notifications/webhooks/{hook['id']}"
    for _ in range(count):
        sandbox.call("POST", f"{path}/trigger")
    wait_until(
        lambda: sandbox.call("GET", path)["stats"]["success_triggers"] >= count,
        "all deliveries have ended",
        timeout=120,
        check=server,
    )


def _timed(sandbox: Sandbox, name: str, body: dict[str, str]) -> float:
    """Return how many milliseconds a call takes, from its request to its response."""
    began = time.monotonic()
    sandbox.call("POST", f"/sandbox/{name}", body)
    return (time.monotonic() - began) * 1000
