"""The set-up of docker-compose.yml as local processes, with its commands and environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from requests_queue.catalog import keys
from tests.processes import ROOT, Process, Sandbox, environment, free_port, manage

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@dataclass
class Server(Sandbox):
    """Web server, workers and beat as separate processes."""

    workers: list[Process] = field(default_factory=list)
    beat: Process | None = None


def command(service: str) -> list[str]:
    """Return the command of a service, with this machine's Python."""
    program, *arguments = COMPOSE["services"][service]["command"]
    if program == "python":
        return [sys.executable, *arguments]
    return [str(Path(sys.executable).parent / program), *arguments]


@contextmanager
def server(
    folder: Path,
    database_url: str,
    broker_url: str,
    *,
    workers: int = 2,
    beat: bool = True,
    **variables: str,
) -> Iterator[Server]:
    """Run web server, workers and beat for the block, with the demo data."""
    port = free_port()
    env = environment(
        folder,
        **dict.fromkeys(COMPOSE["services"]["web"]["environment"], ""),
    )
    env |= {
        "SIM_PROFILE": "server",
        "SIM_BIND": f"127.0.0.1:{port}",
        "SIM_API_URL": f"http://127.0.0.1:{port}",
        "SIM_SECRET_KEY": "a-secret-of-the-test-that-is-long-enough-for-django-0123456789",
        "SIM_ENCRYPTION_KEY": "another-secret-of-the-test-that-is-long-enough",
        "SIM_ALLOW_NETWORKS": "loopback",
        "SIM_SSL_REDIRECT": "false",
        "DATABASE_URL": database_url,
        "CELERY_BROKER_URL": broker_url,
        **variables,
    }  # fmt: skip
    for arguments in (("migrate", "-v0"), ("seed",)):
        subprocess.run(manage(*arguments), env=env, cwd=ROOT, check=True, capture_output=True)
    api_keys = {}
    for account in ("VA-610-138", "PA-318-442"):
        api_keys[account] = keys.new_key()
        subprocess.run(
            manage("apikey", account), env={**env, "SIM_API_KEY": api_keys[account]}, cwd=ROOT,
            check=True, capture_output=True,
        )  # fmt: skip
    running = Server(
        f"http://127.0.0.1:{port}", folder, Process(command("web"), env, folder / "web.log"),
        api_keys["VA-610-138"], api_keys["PA-318-442"],
    )  # fmt: skip
    running.workers = [
        Process([*command("worker"), "-n", f"w{n}@test"], env, folder / f"worker{n}.log")
        for n in range(workers)
    ]
    processes = [running.process, *running.workers]
    if beat:
        schedule = ["--schedule", str(folder / "beat"), "--pidfile="]
        running.beat = Process([*command("beat")[:-2], *schedule], env, folder / "beat.log")
        processes.append(running.beat)
    for process in processes:
        process.start()
    try:
        running.wait_for_web()
        yield running
    finally:
        for process in reversed(processes):
            if process.popen.poll() is None:
                process.stop()
