"""What a benchmark measures with: processes, servers, set-ups of ours and of django-webhook."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests

from tests import environments, processes
from tests.postgres_server import GIVEN, postgres_database, postgres_server

DRAIN = 99  # webhooks
RATE = 20  # changes per second
# As docker-compose.yml runs a worker; there is no TLS proxy, which a system check would require.
_SERVER = {
    "SIM_PROFILE": "server",
    "SIM_SECRET_KEY": "a-secret-of-the-benchmark-long-enough-for-django-0123456789",
    "SIM_ENCRYPTION_KEY": "another-secret-of-the-benchmark-that-is-long-enough",
    "SIM_ALLOW_NETWORKS": "loopback",
    "SIM_SSL_REDIRECT": "false",
}


class BenchmarkError(Exception):
    """A process of the run failed, or a file can't be used; the message says why."""


class Process(processes.Process):
    """A process of the run; `ask` works with those that `served.serve`."""

    def ask(self, name: str, **arguments: Any) -> Any:
        with suppress(BrokenPipeError):
            self.popen.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
            self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        if not line:
            raise self.error(f"no answer to {name}")
        return json.loads(line)

    def error(self, what: str) -> BenchmarkError:
        return BenchmarkError(f"{self.log.stem}: {what}\n{self.printed[-3000:]}")

    def wait_until(self, condition: Callable[[], Any], what: str, timeout: float = 300) -> Any:
        """Wait until a value is true, and return it; raise BenchmarkError if the process ends, or
        after the timeout."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise self.error(f"it has ended, or timed out after {timeout:g} s: {what}")
            processes.pause()
        return value


@contextmanager
def running(command: Sequence[str], env: dict[str, str], log: Path) -> Iterator[Process]:
    process = Process(command, env, log, pipes=True)
    process.start()
    try:
        yield process
    finally:
        with suppress(subprocess.TimeoutExpired):  # it has been killed
            process.stop()


def tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children; 0 if it has ended."""
    fields = (text.rpartition(")")[2].split() for text in _tree(pid, "stat"))
    ticks = sum(int(value) for each in fields for value in each[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def tree_memory(pid: int) -> float:
    """Return the MiB of a process and its children: what they share counts once."""
    sizes = (text.partition("\nPss:")[2].split()[0] for text in _tree(pid, "smaps_rollup"))
    return sum(map(int, sizes)) / 1024


def _tree(pid: int, name: str) -> Iterator[str]:
    with suppress(OSError):  # it has ended
        yield Path(f"/proc/{pid}/{name}").read_text()
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in path.read_text().split():
                yield from _tree(int(child), name)


class Part:
    """One set-up of a benchmark: all that it starts ends with the stack, in reverse order."""

    def __init__(self, folder: Path, stack: ExitStack, *, uses_servers: bool) -> None:
        self.uses_servers, self.folder, self.stack = uses_servers, folder, stack
        self.port = processes.free_port()
        self.handler_url = f"http://127.0.0.1:{self.port}"
        self.start_handler()

    def start_handler(self) -> None:
        self.handler = self.process("handler", "")
        self.handler.ask("up", port=self.port)

    @contextmanager
    def round(self) -> Iterator[None]:
        """End what the block starts at its end."""
        with ExitStack() as stack, patch.object(self, "stack", stack):
            yield

    def run(self, name: str, env: dict[str, str], *command: str) -> Process:
        return self.stack.enter_context(running(command, env, self.folder / f"{name}.log"))

    def process(
        self, module: str, settings: str = "connect_sim.settings", **variables: str
    ) -> Process:
        if settings:
            variables["DJANGO_SETTINGS_MODULE"] = settings
        name = f"{module}-{processes.free_port()}"
        env = processes.environment(self.folder / name, **variables)
        return self.run(
            name, env, sys.executable, "-m", "benchmarks.served", f"benchmarks.{module}"
        )

    def database(self) -> str:
        """Create a PostgreSQL database and return its URL; start a server if none is given.

        Its durability is that of PostgreSQL's defaults.
        """
        if not os.environ.get(GIVEN):
            server = self.stack.enter_context(postgres_server("-c max_connections=200"))
            self.stack.enter_context(patch.dict(os.environ, {GIVEN: server.url}))
        return self.stack.enter_context(postgres_database())

    @cached_property
    def redis(self) -> processes.Redis:
        return self.stack.enter_context(processes.redis_server(self.folder))

    def data(self) -> dict[str, str]:
        """Return the variables of an empty database for `process`: on PostgreSQL or SQLite."""
        if not self.uses_servers:
            return {"DATABASE_URL": f"sqlite:///{self.folder}/{processes.free_port()}.sqlite3"}
        # The CPU time of parallel workers could not be attributed to a connection.
        parallel = {"PGOPTIONS": "-c max_parallel_workers_per_gather=0"}
        return {"DATABASE_URL": self.database(), **parallel}

    def server(self) -> dict[str, str]:
        """Return the variables of the processes of a server with a database of its own."""
        address = f"127.0.0.1:{processes.free_port()}"
        return {
            **_SERVER,
            "DATABASE_URL": self.database(),
            "CELERY_BROKER_URL": self.redis.url,
            "SIM_BIND": address,
            "SIM_API_URL": f"http://{address}",
        }

    def sandbox(self, name: str = "sandbox", root: Path = processes.ROOT) -> processes.Sandbox:
        """Start a sandbox, of this tree or of another, and return a client of it whose calls are
        not a handler's."""
        started = processes.sandbox(self.folder / name, root, first=True, SIM_QUIET="true")
        client = self.stack.enter_context(started).as_tester()
        # It keeps its connection.
        client.http = self.stack.enter_context(requests.Session())
        return client

    def wait_for_arrivals(self, count: int, sender: Process, timeout: float = 300) -> None:
        sender.wait_until(
            lambda: self.handler.ask("count") >= count, f"{count} requests arrived", timeout
        )

    def latency(self, committer: Process, seconds: int) -> dict[str, float]:
        """Make changes at RATE, and return p50 and p99 of the seconds from commit to arrival.

        Those of the first second are left out. A request does not name its event, but those of one
        webhook arrive in event order.
        """
        self.handler.ask("reset")
        committed = committer.ask("commit", rate=RATE, seconds=seconds)
        count = sum(map(len, committed.values()))
        self.wait_for_arrivals(count, committer)
        arrived = self.handler.ask("arrivals")
        assert sum(map(len, arrived.values())) == count, f"More than {count} requests arrived."
        pairs = [p for path, at in committed.items() for p in zip(at, arrived[path], strict=True)]
        delays = sorted(end - start for start, end in sorted(pairs)[RATE:])
        return {f"p{percent}": delays[len(delays) * percent // 100] for percent in (50, 99)}


def time_call(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.monotonic()
    result = call()
    return time.monotonic() - start, result


class Setup:
    """A set-up of ours: processes that deliver, and those that create deliveries.

    `groups` are groups of webhooks, as of `workload.fixtures`; a drain is for the first one.
    """

    def __init__(
        self,
        part: Part,
        *groups: tuple[str, int],
        paced: int = 0,
        uses_servers: bool | None = None,
        **variables: str,
    ) -> None:
        self.part, self._groups = part, groups or (("drain", DRAIN),)
        is_server = part.uses_servers if uses_servers is None else uses_servers
        self.variables = {
            "SIM_BIND": f"127.0.0.1:{processes.free_port()}",
            **(part.server() if is_server else {}),
            "SIM_DATA_DIR": str(part.folder / f"data-{processes.free_port()}"),
            "DJANGO_SETTINGS_MODULE": "connect_sim.settings",
            **variables,
        }
        self.workload = part.process("workload", **self.variables)
        self.slots = self.workload.ask(
            "fixtures", handler=part.handler_url, groups=self._groups, paced=paced
        )
        self._kind = "worker" if is_server else "embedded"
        self.workers: list[Process] = []
        self.worker = self.start_worker()
        # memory:// connects no other process, so the queue changes of a sandbox are made in it.
        self.committer = self.workload if is_server else self.worker
        self._statements = self.worker.log.with_suffix(".statements")
        if self._groups[0][0] != "hang":
            self.drain(3)  # warm-up

    def start_worker(self) -> Process:
        counter = self.part.folder / f"{self._kind}-{processes.free_port()}.statements"
        env = processes.environment(
            self.part.folder, **self.variables, BENCH_SQL_STATEMENTS=str(counter)
        )
        command = (sys.executable, "-m", "benchmarks.served", self._kind)
        self.workers.append(self.part.run(counter.stem, env, *command))
        self.workers[-1].wait_until(counter.exists, "the worker starts")
        return self.workers[-1]

    def drain(self, each: int, *, hanging: bool = False) -> dict[str, float]:
        """Create `each` deliveries of each webhook, and measure from first to last arrival.

        Return the seconds, deliveries per second, and CPU seconds and statements of a delivery. The
        workers' CPU time is measured until the last attempt is recorded. With `hanging`, also
        create deliveries of the second group, which hang.
        """
        count = self._groups[0][1] * each
        self.part.handler.ask("reset")
        cpu, statements = self._spent()
        self.workload.ask("fill", each=each, groups=[0, 1][: 1 + hanging])
        self.finish(count)
        spent, sent = self._spent()
        if hanging:
            self.release()
        costs = {"cpu": (spent - cpu) / count, "statements": (sent - statements) / count}
        return {**self.part.handler.ask("span"), **costs}

    def _spent(self) -> tuple[float, int]:
        """Return the CPU seconds of all workers, and the SQL statements of the first one."""
        cpu = sum(tree_cpu(worker.popen.pid) for worker in self.workers)
        return cpu, self._statements.stat().st_size

    def finish(self, count: int) -> None:
        self.part.wait_for_arrivals(count, self.worker)
        self.worker.wait_until(
            lambda: not self.workload.ask("unfinished", hanging=False), "all are recorded"
        )

    def hang(self, group: int, each: int) -> int:
        """Add pending deliveries of a group until the worker has no more slots for them; return the
        number of requests that hang."""
        total = self.part.handler.ask("hanging") + self._groups[group][1] * each
        # A tenth of the slots is reserved for webhooks that respond.
        total = min(total, self.slots - self.slots // 10)
        self.workload.ask("fill", each=each, groups=[group])
        self.worker.wait_until(
            lambda: self.part.handler.ask("hanging") >= total, f"{total} requests hang"
        )
        return total

    def release(self) -> None:
        """Release hanging requests until no delivery of theirs is unfinished."""
        self.worker.wait_until(
            lambda: (
                self.part.handler.ask("release")
                or not self.workload.ask("unfinished", hanging=True)
            ),
            "hanging requests are finished",
        )


class DjangoWebhook:
    """django-webhook: the process that creates its work, and how to start its worker.

    What both use has our version, so that it makes no difference.
    """

    # Of its worker: Celery's options, and variables of the settings.
    KINDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        "defaults": ((), {}),
        "tuned": (("--without-gossip", "--without-mingle"), {"BENCH_DB_REUSE_MAX": "1000"}),
    }

    def __init__(self, part: Part) -> None:
        names = ("celery[redis]", "psycopg[binary]", "django", "redis", "requests")
        same = [f"{name}=={version(name.partition('[')[0])}\n" for name in names]
        requirements = f"django-webhook==0.0.15\n{''.join(same)}"
        installed = environments.python("django_webhook", requirements, only=sys.version_info[:2])
        self._python = str(installed)
        self._env = processes.environment(
            part.folder,
            DJANGO_SETTINGS_MODULE="benchmarks.orders.settings",
            BENCH_DATABASE_URL=part.database(),
            BENCH_BROKER_URL=f"{part.redis.url.removesuffix('0')}1",
        )
        self._part = part
        command = (self._python, "-m", "benchmarks.served", "benchmarks.orders.models")
        self.workload = part.run("django-webhook", self._env, *command)
        self.workload.ask("fixtures", handler=part.handler_url, count=DRAIN)

    def start_worker(self, kind: str) -> Process:
        """Start a worker with Celery's prefork pool and one child per core."""
        options, variables = self.KINDS[kind]
        app = "benchmarks.orders.settings"
        return self._part.run(
            f"worker-{processes.free_port()}",
            {**self._env, **variables},
            *(self._python, "-m", "celery", "-A", app, "worker", "--loglevel", "WARNING"),
            *options,
        )

    def drain(self, kind: str, each: int) -> dict[str, float]:
        """Queue requests in the broker, then start a worker and measure it, as `Setup.drain`.

        The first fifth of them warms its processes up.
        """
        count, handler = DRAIN * each, self._part.handler
        handler.ask("reset")
        self.workload.ask("fill", each=each)
        with self._part.round():
            worker = self.start_worker(kind)
            self._part.wait_for_arrivals(count // 5, worker)
            cpu, warm = tree_cpu(worker.popen.pid), handler.ask("count")
            self._part.wait_for_arrivals(count, worker)
            worker.wait_until(lambda: not self.workload.ask("pending"), "all are recorded")
            cpu = (tree_cpu(worker.popen.pid) - cpu) / max(1, count - warm)
        return {**handler.ask("span", skip=count // 5), "cpu": cpu}
