"""The measured set-ups: ours embedded, ours distributed, and django-webhook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.processes import ROOT, Process, environment, module, running, wait_until
from benchmarks.servers import Unavailable, free_port
from benchmarks.workload import DRAIN

_CELERY = ("worker", "--loglevel", "WARNING")
# As docker-compose.yml runs a worker, with a counter of statements.
_WORKER = (sys.executable, "-m", "benchmarks.worker")
_VENV = ROOT / ".test-venvs" / "django-webhook-0.0.15"
# What both use has our version, so that it makes no difference.
_REQUIREMENTS = (
    "django-webhook==0.0.15",
    f"celery[redis]=={version('celery')}",
    f"psycopg[binary]=={version('psycopg')}",
    *(f"{name}=={version(name)}" for name in ("django", "redis", "requests")),
)
# Celery's options and variables of the settings, of a worker of django-webhook.
DEFAULTS: tuple[str, ...] = ()
TUNED = ("--without-gossip", "--without-mingle")
TUNED_ENV = {"BENCH_DB_REUSE_MAX": "1000"}

Fixtures = Callable[[Process], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """A set-up of ours: the process that delivers, and those that create deliveries.

    `webhooks` is how many a drain is for; `counters` are the files of SQL statements.
    """

    worker: Process
    workload: Process
    committer: Process
    counter: Path
    env: Mapping[str, str] = field(repr=False)
    webhooks: int = DRAIN
    # Further workers.
    more: tuple[Process, ...] = ()

    def cpu(self) -> float:
        """Return the CPU seconds of all workers."""
        return sum(worker.cpu() for worker in (self.worker, *self.more))


@contextmanager
def embedded(
    folder: Path,
    fixtures: Fixtures,
    name: str = "embedded",
    webhooks: int = DRAIN,
    **variables: str,
) -> Iterator[Subject]:
    """Run the default set-up: one process, SQLite, no broker; `fixtures` fills the database."""
    counter = folder / f"{name}.counter"
    env = environment(
        SIM_DATA_DIR=str(folder / name),
        SIM_BIND=f"127.0.0.1:{free_port()}",
        BENCH_SQL_COUNTER=str(counter),
        **variables,
    )
    with running(module("workload"), env, folder / f"{name}-workload.log") as workload:
        fixtures(workload)
        with running(module("embedded"), env, folder / f"{name}.log") as process:
            process.ask("ready")
            # memory:// connects no other process, so the queue changes are made in this one,
            # as in a sandbox.
            yield Subject(process, workload, process, counter, env, webhooks)


@contextmanager
def distributed(
    folder: Path,
    database: str,
    broker: str,
    fixtures: Fixtures,
    name: str = "distributed",
    webhooks: int = DRAIN,
    **variables: str,
) -> Iterator[Subject]:
    """Run a worker of a server set-up; the workload process acts as its web server."""
    counter = folder / f"{name}.counter"
    env = server_environment(
        folder / name, database, broker, BENCH_SQL_COUNTER=str(counter), **variables
    )
    with running(module("workload"), env, folder / f"{name}-workload.log") as workload:
        fixtures(workload)
        with worker(env, folder, name) as process:
            yield Subject(process, workload, workload, counter, env, webhooks)


def server_environment(
    folder: Path, database: str, broker: str, **variables: str
) -> dict[str, str]:
    """Return the environment of the processes of a server, whose files are in a folder."""
    address = f"127.0.0.1:{free_port()}"
    return environment(
        SIM_PROFILE="server",
        SIM_DATA_DIR=str(folder),
        SIM_BIND=address,
        SIM_API_URL=f"http://{address}",
        SIM_SECRET_KEY="a-secret-of-the-benchmark-long-enough-for-django-0123456789",
        SIM_ENCRYPTION_KEY="another-secret-of-the-benchmark-that-is-long-enough",
        SIM_ALLOW_NETWORKS="loopback",
        # There is no TLS proxy, which a system check would require.
        SIM_SSL_REDIRECT="false",
        DATABASE_URL=database,
        CELERY_BROKER_URL=f"{broker}/0",
        **variables,
    )


@contextmanager
def worker(env: Mapping[str, str], folder: Path, name: str) -> Iterator[Process]:
    """Run a worker of a distributed set-up, and wait until it has started."""
    counter = folder / f"{name}.counter"
    counter.unlink(missing_ok=True)
    env = {**env, "BENCH_SQL_COUNTER": str(counter)}
    with running(_WORKER, env, folder / f"{name}-worker.log") as process:
        wait_until(counter.exists, "the worker starts", timeout=60, check=process)
        yield process


def django_webhook_python() -> Path:
    """Return the Python of a virtual environment with django-webhook, created on first use."""
    python = _VENV / "bin" / "python"
    complete = _VENV / "complete"
    wanted = "\n".join(_REQUIREMENTS)
    if not complete.exists() or complete.read_text() != wanted:
        print("Setting up an environment for django-webhook 0.0.15 …", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_VENV)], check=True)
            subprocess.run(
                [
                    str(python),
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--disable-pip-version-check",
                    *_REQUIREMENTS,
                ],
                check=True,
            )
        except subprocess.CalledProcessError:
            raise Unavailable("django-webhook could not be installed") from None
        complete.write_text(wanted)
    return python


@dataclass(frozen=True, slots=True)
class DjangoWebhook:
    """django-webhook: the process that creates its work, and how to start its worker."""

    workload: Process
    folder: Path
    env: Mapping[str, str] = field(repr=False)

    @contextmanager
    def worker(self, options: tuple[str, ...] = DEFAULTS, **variables: str) -> Iterator[Process]:
        """Run a worker: Celery's prefork pool with one child per core."""
        command = [
            str(django_webhook_python()),
            "-m",
            "celery",
            "-A",
            "benchmarks.django_webhook.celery_app",
            *_CELERY,
            *options,
        ]
        log = self.folder / "django-webhook-worker.log"
        with running(command, {**self.env, **variables}, log) as process:
            yield process


@contextmanager
def django_webhook(
    folder: Path, handler_url: str, database: str, broker: str
) -> Iterator[DjangoWebhook]:
    """Run django-webhook without a worker, with the webhooks of drains and of changes."""
    env = environment(BENCH_DATABASE_URL=database, BENCH_BROKER_URL=broker)
    command = [str(django_webhook_python()), "-m", "benchmarks.django_webhook.workload"]
    with running(command, env, folder / "django-webhook-workload.log") as workload:
        workload.ask("fixtures", handler=handler_url, count=DRAIN)
        yield DjangoWebhook(workload, folder, env)
