"""From an order to its approval by the examples, beside three API calls."""

from __future__ import annotations

import shutil
import time
from statistics import median

from benchmarks.processes import BenchmarkError
from benchmarks.run import Run
from benchmarks.table import Bound, Row, in_rounds
from tests import examples, orders
from tests.processes import Sandbox, sandbox

_A_SECOND = Bound(1)
_TIMEOUT = 60.0
_COMMANDS = {"Python": examples.python, "Node.js": examples.node}


def measure_examples(run: Run) -> list[Row]:
    """Order in turn with an example that approves, and with a client that does."""
    rounds, times = (1, 3) if run.quick else (3, 10)
    rows: list[Row] = []
    with run.subfolder("examples") as folder, sandbox(folder / "data") as running:
        for request in running.as_vendor("GET", "/requests?in(status,(pending,inquiring))"):
            running.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})
        for name, command in _COMMANDS.items():
            if name == "Node.js" and not shutil.which("npm"):
                continue
            own = folder / name
            own.mkdir()
            plain, approved = [], []
            for _ in range(rounds):
                plain.append(median(_by_client(running) for _ in range(times)))
                with (
                    examples.example(running, command, own) as handler,
                    examples.subscribed(running, handler.url),
                ):
                    approved.append(median(_by_handler(running) for _ in range(times)))
                shutil.rmtree(own)
                own.mkdir()
            figure = f"{name}: order to approval"
            rows += [
                in_rounds("examples", f"{figure}, ms", approved, plain, "three calls", scale=1e3),
                Row("examples", f"{figure}, s, at most", max(approved), bound=_A_SECOND),
            ]
    return rows


def _by_client(running: Sandbox) -> float:
    start = time.monotonic()
    request = orders.purchase(running)
    params = [{"id": "activation_id", "value": request["id"]}]
    running.as_vendor("PUT", f"/requests/{request['id']}", {"asset": {"params": params}})
    running.as_vendor(
        "POST", f"/requests/{request['id']}/approve", {"template_id": "TL-213-870-001"}
    )
    return time.monotonic() - start


def _by_handler(running: Sandbox) -> float:
    start = time.monotonic()
    path = f"/requests/{orders.purchase(running)['id']}"
    while running.as_vendor("GET", path)["status"] != "approved":
        if time.monotonic() - start > _TIMEOUT:
            raise BenchmarkError(f"{path} was not approved within {_TIMEOUT:g} s")
        time.sleep(0.005)
    return time.monotonic() - start
