"""The set-ups that are measured: ours embedded, ours distributed, and django-webhook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pipes import ROOT, Process, environment, module, running, until
from benchmarks.servers import Missing, free_port

# As docker-compose.yml runs a worker, with the application that counts statements.
_WORKER = (
    sys.executable, "-m", "celery", "-A", "benchmarks.counted", "worker", "--loglevel", "WARNING",
)  # fmt: skip
_RIVAL = ROOT / ".test-venvs" / "django-webhook-0.0.15"
_RIVAL_NEEDS = ("django-webhook==0.0.15", "django>=5.2,<5.3", "celery[redis]", "psycopg[binary]")


Fixtures = Callable[[Process], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """Ours: the process that delivers, and those that give it work."""

    worker: Process
    clerk: Process
    committer: Process
    tally: Path


@dataclass(frozen=True, slots=True)
class Rival:
    """django-webhook: the process that gives it work, and a way to start its worker."""

    clerk: Process
    start_worker: Callable[[], Process]


@contextmanager
def embedded(folder: Path, fixtures: Fixtures, name: str = "embedded") -> Iterator[Subject]:
    """Run the default: one process, SQLite, no broker; `fixtures` fills the database."""
    tally = folder / f"{name}.tally"
    env = environment(
        SIM_DATA_DIR=str(folder / name),
        SIM_BIND=f"127.0.0.1:{free_port()}",
        BENCH_TALLY=str(tally),
    )
    with running(module("clerk"), env, folder / f"{name}-clerk.log") as clerk:
        fixtures(clerk)
        with running(module("embedded"), env, folder / f"{name}.log") as process:
            process.ask("ready")
            # memory:// reaches no other process, so the queue changes are made in this one,
            # as they are in a sandbox.
            yield Subject(process, clerk, process, tally)


@contextmanager
def distributed(
    folder: Path, database: str, broker: str, fixtures: Fixtures, name: str = "distributed"
) -> Iterator[Subject]:
    """Run a worker of a server set-up; the clerk stands for its web process."""
    tally = folder / f"{name}.tally"
    address = f"127.0.0.1:{free_port()}"
    env = environment(
        SIM_PROFILE="server",
        SIM_DATA_DIR=str(folder / name),
        SIM_BIND=address,
        SIM_API_URL=f"http://{address}",
        SIM_SECRET_KEY="a-secret-of-the-benchmark-long-enough-for-django-0123456789",
        SIM_ENCRYPTION_KEY="another-secret-of-the-benchmark-that-is-long-enough",
        SIM_ALLOW_NETWORKS="loopback",
        # No proxy ends TLS in front, which a system check asks for otherwise.
        SIM_SSL_REDIRECT="false",
        DATABASE_URL=database,
        CELERY_BROKER_URL=f"{broker}/0",
        BENCH_TALLY=str(tally),
    )
    with running(module("clerk"), env, folder / f"{name}-clerk.log") as clerk:
        fixtures(clerk)
        with running(_WORKER, env, folder / f"{name}-worker.log") as worker:
            until(tally.exists, "the worker starts", timeout=60, check=worker)
            yield Subject(worker, clerk, clerk, tally)


def rival_python() -> Path:
    """Return the Python of an environment that holds django-webhook, made on first use."""
    python = _RIVAL / "bin" / "python"
    complete = _RIVAL / "complete"
    if not complete.exists():
        print("Setting up an environment for django-webhook 0.0.15 …", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_RIVAL)], check=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
                 *_RIVAL_NEEDS],
                check=True,
            )  # fmt: skip
        except subprocess.CalledProcessError:
            raise Missing("django-webhook could not be installed") from None
        complete.touch()
    return python


@contextmanager
def rival(folder: Path, name: str, database: str, broker: str) -> Iterator[Rival]:
    """Run django-webhook's side; its worker has Celery's defaults: prefork, one child a core."""
    python = str(rival_python())
    env = environment(RIVAL_DATABASE_URL=database, RIVAL_BROKER_URL=broker)
    worker = [
        python, "-m", "celery", "-A", "benchmarks.rival.app", "worker", "--loglevel", "WARNING",
    ]  # fmt: skip
    with ExitStack() as stack:
        command = [python, "-m", "benchmarks.rival.clerk"]
        clerk = stack.enter_context(running(command, env, folder / f"rival-{name}-clerk.log"))
        log = folder / f"rival-{name}-worker.log"
        yield Rival(clerk, lambda: stack.enter_context(running(worker, env, log)))
