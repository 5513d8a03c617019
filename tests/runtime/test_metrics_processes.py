"""Metrics of a distributed set-up while one of its workers is killed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import orders
from tests.engines import until
from tests.handlers import handler
from tests.metrics.scraping import KEY, Samples, fetch, samples
from tests.processes import Process, free_port, redis_server
from tests.runtime.distributed import (
    PROVIDER_KEY,
    SECRETS,
    VENDOR_KEY,
    command,
    seeded_database,
    server,
)

CANARY = "canary-4711-secret"


@dataclass
class Scraper:
    """Scrapes a target again and again in a thread."""

    url: str
    key: str = ""
    texts: list[tuple[float, str]] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)
    longest: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopping.wait(0.02):
            began = time.monotonic()
            try:
                status, text = fetch(self.url, self.key)
                assert status == 200, status
                self.texts.append((began, text))
            except Exception as error:
                self.errors.append((began, type(error).__name__))
            self.longest = max(self.longest, time.monotonic() - began)

    def __enter__(self) -> Scraper:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.stopping.set()
        self.thread.join(20)

    def latest(self) -> Samples:
        return samples(self.texts[-1][1]) if self.texts else {}


def test_scrapes_while_a_worker_is_killed(tmp_path: Path) -> None:
    held = threading.Event()
    with (
        redis_server(tmp_path) as redis,
        seeded_database() as database,
        server(
            tmp_path, database, redis.url, workers=0, beat=False, SIM_METRICS_KEY=KEY
        ) as running,
        handler(lambda request: held.wait(60) and 200) as served,
    ):
        url = f"http://127.0.0.1:{(port := free_port())}/metrics"
        env = {**running.process.env, "SIM_METRICS_PORT": str(port)}
        worker = Process(command("worker"), env, tmp_path / "worker.log").start()
        try:
            with Scraper(url) as of_worker, Scraper(f"{running.url}/metrics", KEY) as of_web:
                orders.webhook(running, f"{served.url}/{CANARY}?key={CANARY}")
                for _ in range(3):
                    orders.purchase(running)
                for _ in range(3):
                    served.next()
                in_flight = 'connect_sim_requests_in_flight{kind="event"}'
                until(lambda: of_worker.latest().get(in_flight) == 3, "three are in flight")
                alive = 'connect_sim_processes_alive{kind="worker"}'
                until(lambda: of_web.latest().get(alive) == 1, "the worker's heartbeat")
                worker.kill()
                killed = time.monotonic()
                for _ in range(2):
                    orders.purchase(running)
                until(lambda: of_web.latest()["connect_sim_deliveries_pending"] == 2, "pending")
                until(lambda: of_worker.errors and of_worker.errors[-1][0] > killed, "refused")
            check_scrapes(of_worker, of_web, killed)
            assert of_web.latest()["connect_sim_delivery_oldest_due_seconds"] > 0
            # The port of the killed process is free again, and its successor counts from zero.
            held.set()
            worker = Process(command("worker"), env, tmp_path / "worker.log").start()
            success = 'connect_sim_attempts_total{error="none", outcome="success"}'
            until(lambda: counted(url, success) >= 2, "the pending ones are delivered", 40)
        finally:
            held.set()
            worker.kill()


def check_scrapes(of_worker: Scraper, of_web: Scraper, killed: float) -> None:
    """Each scrape is complete or an error at once, and has no secret."""
    assert of_web.errors == []
    assert not [at for at, _ in of_worker.texts if at > killed]
    assert {error for at, error in of_worker.errors if at > killed} <= {
        "ConnectionRefusedError",
        "ConnectionResetError",
        "RemoteDisconnected",
        "IncompleteRead",
    }
    assert max(of_worker.longest, of_web.longest) < 10
    for _, text in of_worker.texts:
        assert "connect_sim_flushes_total" in text and text.endswith("\n")
    everything = "".join(text for _, text in of_worker.texts + of_web.texts)
    for secret in (CANARY, KEY, *SECRETS.values(), VENDOR_KEY, PROVIDER_KEY, "postgres://"):
        assert secret not in everything


def counted(url: str, name: str) -> float:
    try:
        return samples(fetch(url)[1]).get(name, 0)
    except OSError:
        return 0


def test_second_process_on_the_same_port_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from tests import processes
    from tests.processes import environment, manage

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = environment(tmp_path, SIM_METRICS_PORT=str(port), SIM_BIND=f"127.0.0.1:{free_port()}")
        result = processes.run(manage("web"), env)
    assert result.returncode == 1
    [line] = [each for each in result.stderr.splitlines() if each.strip()]
    assert f"SIM_METRICS_PORT: cannot bind port {port} of 127.0.0.1" in line
