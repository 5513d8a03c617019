"""The measured set-ups: ours embedded, ours distributed, and django-webhook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, Process, environment, module, running, wait_until
from benchmarks.servers import Unavailable, free_port

# As docker-compose.yml runs a worker, with the application that counts statements.
_CELERY = ("worker", "--loglevel", "WARNING")
_WORKER = (sys.executable, "-m", "celery", "-A", "benchmarks.celery_app", *_CELERY)
_VENV = ROOT / ".test-venvs" / "django-webhook-0.0.15"
_REQUIREMENTS = (
    "django-webhook==0.0.15",
    "django>=5.2,<5.3",
    "celery[redis]",
    "psycopg[binary]",
)


Fixtures = Callable[[Process], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """A set-up of ours: the process that delivers, and those that create deliveries."""

    worker: Process
    workload: Process
    committer: Process
    counter: Path


@dataclass(frozen=True, slots=True)
class DjangoWebhook:
    """django-webhook: the process that creates its work, and a function that starts its worker."""

    workload: Process
    start_worker: Callable[[], Process]


@contextmanager
def embedded(folder: Path, fixtures: Fixtures, name: str = "embedded") -> Iterator[Subject]:
    """Run the default set-up: one process, SQLite, no broker; `fixtures` fills the database."""
    counter = folder / f"{name}.counter"
    env = environment(
        SIM_DATA_DIR=str(folder / name),
        SIM_BIND=f"127.0.0.1:{free_port()}",
        BENCH_SQL_COUNTER=str(counter),
    )
    with running(module("workload"), env, folder / f"{name}-workload.log") as workload:
        fixtures(workload)
        with running(module("embedded"), env, folder / f"{name}.log") as process:
            process.ask("ready")
            # memory:// connects no other process, so the queue changes are made in this one,
            # as in a sandbox.
            yield Subject(process, workload, process, counter)


@contextmanager
def distributed(
    folder: Path, database: str, broker: str, fixtures: Fixtures, name: str = "distributed"
) -> Iterator[Subject]:
    """Run a worker of a server set-up; the workload process acts as its web server."""
    counter = folder / f"{name}.counter"
    address = f"127.0.0.1:{free_port()}"
    env = environment(
        SIM_PROFILE="server",
        SIM_DATA_DIR=str(folder / name),
        SIM_BIND=address,
        SIM_API_URL=f"http://{address}",
        SIM_SECRET_KEY="a-secret-of-the-benchmark-long-enough-for-django-0123456789",
        SIM_ENCRYPTION_KEY="another-secret-of-the-benchmark-that-is-long-enough",
        SIM_ALLOW_NETWORKS="loopback",
        # There is no TLS proxy, which a system check would require.
        SIM_SSL_REDIRECT="false",
        DATABASE_URL=database,
        CELERY_BROKER_URL=f"{broker}/0",
        BENCH_SQL_COUNTER=str(counter),
    )
    with running(module("workload"), env, folder / f"{name}-workload.log") as workload:
        fixtures(workload)
        with running(_WORKER, env, folder / f"{name}-worker.log") as worker:
            wait_until(counter.exists, "the worker starts", timeout=60, check=worker)
            yield Subject(worker, workload, workload, counter)


def django_webhook_python() -> Path:
    """Return the Python of a virtual environment with django-webhook, created on first use."""
    python = _VENV / "bin" / "python"
    complete = _VENV / "complete"
    if not complete.exists():
        print("Setting up an environment for django-webhook 0.0.15 …", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_VENV)], check=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
                 *_REQUIREMENTS],
                check=True,
            )  # fmt: skip
        except subprocess.CalledProcessError:
            raise Unavailable("django-webhook could not be installed") from None
        complete.touch()
    return python


@contextmanager
def django_webhook(folder: Path, name: str, database: str, broker: str) -> Iterator[DjangoWebhook]:
    """Run django-webhook; its worker has Celery's defaults: prefork, one child per core."""
    python = str(django_webhook_python())
    env = environment(BENCH_DATABASE_URL=database, BENCH_BROKER_URL=broker)
    worker = [python, "-m", "celery", "-A", "benchmarks.django_webhook.celery_app", *_CELERY]
    with ExitStack() as stack:
        command = [python, "-m", "benchmarks.django_webhook.workload"]
        workload = stack.enter_context(
            running(command, env, folder / f"django-webhook-{name}-workload.log")
        )
        log = folder / f"django-webhook-{name}-worker.log"
        yield DjangoWebhook(workload, lambda: stack.enter_context(running(worker, env, log)))
