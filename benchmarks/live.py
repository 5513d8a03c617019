"""Measure open pages: the CPU time that they cost beside deliveries, and the API beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import requests

from benchmarks.clock import PRODUCT, Sandbox
from benchmarks.live_load import measure_load
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

CORES, BESIDE = Bound(0.5), Bound(2)
_API = "/public/v1/requests?limit=10"
_RATE = 5.0  # deliveries per second


@dataclass(frozen=True, slots=True)
class Live:
    """Sizes: pages, many pages, seconds of each measurement, rounds, and requests to the API."""

    pages: int
    many: int
    seconds: float
    rounds: int
    requests: int


QUICK, FULL = Live(20, 100, 5, 1, 200), Live(20, 100, 20, 3, 1_000)


def measure_live(run: Run) -> list[Row]:
    """Run a sandbox and return the rows."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    port, data = free_port(), folder / "live"
    env = environment(SIM_DATA_DIR=str(data), SIM_BIND=f"127.0.0.1:{port}")
    command = [sys.executable, str(ROOT / "manage.py")]
    with (
        running([*command, "sandbox"], env, folder / "live.log") as server,
        running(module("live_client"), env, folder / "live-client.log") as pages,
        running(module("web.client"), env, folder / "live-api.log") as client,
    ):
        file = data / "sandbox.json"
        wait_until(file.exists, "the sandbox is up", timeout=120, check=server)
        keys = json.loads(file.read_text())
        sandbox = Sandbox(f"http://127.0.0.1:{port}", keys)
        # Each page is another user's.
        links = subprocess.run(
            module("live_users", str(sizes.many)),
            cwd=ROOT,
            env=env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        cookies = [_cookie(f"http://127.0.0.1:{port}{link}") for link in json.loads(links)]
        opening = {"port": port, "cookies": cookies[: sizes.pages]}
        with _deliveries(sandbox, run.handler_url):
            api = {
                "port": port,
                "path": _API,
                "key": keys["vendor_api_key"],
                "clients": 1,
                "count": sizes.requests,
            }
            client.ask("requests", **api)
            rows = _measure(server, pages, client, api, opening, sizes)
        for each in (opening, {"port": port, "cookies": cookies}):
            rows += measure_load(
                server, pages, run.handler, sandbox, run.handler_url, each, sizes.seconds
            )
        return rows


def _measure(
    server: Process,
    pages: Process,
    client: Process,
    api: dict[str, object],
    opening: dict[str, object],
    sizes: Live,
) -> list[Row]:
    """Measure without and with pages in turn."""
    alone, beside, without, within, events, sent = [], [], [], [], [], []
    for _ in range(sizes.rounds):
        alone.append(_cores(server, sizes.seconds))
        without.append(client.ask("requests", **api)["p50"])
        opened = pages.ask("open", **opening)
        if opened != sizes.pages:
            raise BenchmarkError(f"{opened} of {sizes.pages} pages have a stream")
        began = time.monotonic()
        beside.append(_cores(server, sizes.seconds))
        within.append(client.ask("requests", **api)["p50"])
        seconds = time.monotonic() - began
        counts = pages.ask("close")
        events.append(counts["events"] / seconds)
        sent.append(counts["requests"] / seconds)
    cost = median(b - a for a, b in zip(alone, beside, strict=True))
    return [
        Row("live", f"CPU of {sizes.pages} open pages, cores", cost, None, "", CORES),
        Row("live", f"events per second of {sizes.pages} pages", median(events), None, ""),
        Row("live", "requests of parts of pages per second", median(sent), None, ""),
        Row(
            "live",
            f"p50 of a list beside {sizes.pages} pages, ms",
            median(within) * 1e3,
            median(without) * 1e3,
            "without them",
            BESIDE,
        ),
    ]


def _cores(server: Process, seconds: float) -> float:
    """Return the CPU time of the server per second."""
    began, before = time.monotonic(), server.cpu()
    time.sleep(seconds)
    return (server.cpu() - before) / (time.monotonic() - began)


def _cookie(link: str) -> str:
    session = requests.Session()
    session.trust_env = False
    session.get(link, timeout=30).raise_for_status()
    return "; ".join(f"{name}={value}" for name, value in session.cookies.items())


@contextmanager
def _deliveries(sandbox: Sandbox, handler_url: str) -> Iterator[None]:
    """Trigger a webhook of the vendor _RATE times per second, and delete it at the end."""
    hook = sandbox.call(
        "POST",
        "/public/v1/notifications/webhooks",
        {
            "label": "Benchmark",
            "product_id": PRODUCT,
            "object_class": "fulfillment_request",
            "external_url": handler_url,
            "jwt_secret": "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10",
        },
    )["id"]
    ended = threading.Event()

    def trigger() -> None:
        while not ended.wait(1 / _RATE):
            sandbox.call("POST", f"/public/v1/notifications/webhooks/{hook}/trigger")

    thread = threading.Thread(target=trigger, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sandbox.call("DELETE", f"/public/v1/notifications/webhooks/{hook}")
