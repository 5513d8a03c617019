"""Measure the web server against direct calls, and build the rows."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.processes import ROOT, Process, environment, module, running, wait_until
from benchmarks.run import Run
from benchmarks.servers import free_port
from benchmarks.table import Bound, Row

SMALL = Bound(2.2)
EIGHT = Bound(1.3)
_PATH = "/sandbox/holds"


@dataclass(frozen=True, slots=True)
class Web:
    """Sizes of a run: requests per round, rounds."""

    requests: int
    rounds: int


QUICK = Web(requests=400, rounds=1)
FULL = Web(requests=4_000, rounds=5)


def measure_web(run: Run) -> list[Row]:
    """Run a sandbox and return the rows."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    port, data = free_port(), folder / "web"
    env = environment(SIM_DATA_DIR=str(data), SIM_BIND=f"127.0.0.1:{port}")
    command = [sys.executable, str(ROOT / "manage.py"), "sandbox"]
    with (
        running(command, env, folder / "web.log") as server,
        running(module("web.client"), env, folder / "web-client.log") as client,
    ):
        wait_until(lambda: _is_up(data), "the sandbox is up", timeout=120, check=server)
        key = json.loads((data / "sandbox.json").read_text())["vendor_api_key"]
        with running(module("web.direct"), env, folder / "web-direct.log") as direct:
            return _costs(server, client, direct, port, key, sizes)


def _is_up(data: Path) -> bool:
    return (data / "sandbox.json").exists()


def _costs(
    server: Process, client: Process, direct: Process, port: int, key: str, sizes: Web
) -> list[Row]:
    """Measure the CPU time of a request: called directly, by one client, by eight."""
    times: dict[str, list[float]] = {"direct": [], "one": [], "eight": []}
    common = {"port": port, "path": _PATH, "key": key, "count": sizes.requests}
    client.ask("requests", clients=8, **common)
    for _ in range(sizes.rounds):
        times["direct"].append(direct.ask("calls", path=_PATH, key=key, count=sizes.requests))
        for name, clients in (("one", 1), ("eight", 8)):
            cpu = server.cpu()
            sent = client.ask("requests", clients=clients, **common)["count"]
            times[name].append((server.cpu() - cpu) / sent)
    plain, one, eight = (median(times[name]) * 1e3 for name in ("direct", "one", "eight"))
    return [
        Row("web", "CPU of a small request, ms", one, plain, "called directly", SMALL),
        Row("web", "the same with eight clients, ms", eight, one, "one client", EIGHT),
    ]
