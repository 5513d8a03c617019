"""The set-up of docker-compose.yml as local processes, with its commands and environment."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests import processes
from tests.postgres_server import postgres_database, template_database
from tests.processes import ROOT, Process, Sandbox, environment, free_port, manage

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
VENDOR_KEY = "SU-610-138-001:key-of-the-vendor"
PROVIDER_KEY = "SU-318-442-001:key-of-the-distributor"
SECRETS = {
    "SIM_SECRET_KEY": "a-secret-of-the-test-that-is-long-enough-for-django-0123456789",
    "SIM_ENCRYPTION_KEY": "another-secret-of-the-test-that-is-long-enough-0123456789",
}
_FILL_TIMEOUT = 300.0  # seconds, on a busy machine
_FILL = f"""
import os
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("seed")
for account, key in {{"VA-610-138": {VENDOR_KEY!r}, "PA-318-442": {PROVIDER_KEY!r}}}.items():
    os.environ["SIM_API_KEY"] = key
    call_command("apikey", account)
"""


@contextmanager
def seeded_database() -> Iterator[str]:
    """Copy a database with the demo data and keys of both parties; yield its URL."""
    with postgres_database(template_database("seeded", fill)) as url:
        yield url


def fill(url: str) -> None:
    """Create the tables, the demo data, and keys of both parties in an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder), DATABASE_URL=url, **SECRETS)
        command = manage("shell", "-v0", "-c", _FILL)
        processes.run(command, env, timeout=_FILL_TIMEOUT).check_returncode()


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
    start_timeout: float = 60,
    **variables: str,
) -> Iterator[Server]:
    """Run web server, workers and beat for the block, on a `seeded_database`."""
    port = free_port()
    env = environment(
        folder,
        **dict.fromkeys(COMPOSE["services"]["web"]["environment"], ""),
    )
    env |= {
        "SIM_PROFILE": "server",
        "SIM_BIND": f"127.0.0.1:{port}",
        "SIM_API_URL": f"http://127.0.0.1:{port}",
        **SECRETS,
        "SIM_ALLOW_NETWORKS": "loopback",
        "SIM_SSL_REDIRECT": "false",
        "DATABASE_URL": database_url,
        "CELERY_BROKER_URL": broker_url,
        **variables,
    }
    running = Server(
        f"http://127.0.0.1:{port}",
        folder,
        Process(command("web"), env, folder / "web.log"),
        VENDOR_KEY,
        PROVIDER_KEY,
    )
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
        running.wait_for_web(start_timeout)
        yield running
    finally:
        for process in reversed(processes):
            if process.popen.poll() is None:
                process.stop()
