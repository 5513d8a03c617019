"""The measured set-ups: ours embedded, ours distributed, and django-webhook."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from benchmarks import sql_counter
from benchmarks.part import Part
from benchmarks.processes import Process, running, tree_cpu
from benchmarks.workload import DRAIN
from tests import environments
from tests.processes import environment, free_port

RATE = 20  # changes per second
# As docker-compose.yml runs a worker; there is no TLS proxy, which a system check would require.
_SERVER = {
    "SIM_PROFILE": "server",
    "SIM_SECRET_KEY": "a-secret-of-the-benchmark-long-enough-for-django-0123456789",
    "SIM_ENCRYPTION_KEY": "another-secret-of-the-benchmark-that-is-long-enough",
    "SIM_ALLOW_NETWORKS": "loopback",
    "SIM_SSL_REDIRECT": "false",
}


# A drain: `rate` is deliveries per second, `cpu` and `statements` are those of a delivery. The
# latency from commit to handler in seconds: `p50` and `p99`.
Drain = Latency = dict[str, float]


def server_variables(part: Part) -> dict[str, str]:
    """Return the variables of the processes of a server with a database of its own."""
    address = f"127.0.0.1:{free_port()}"
    return {
        **_SERVER,
        "SIM_BIND": address,
        "SIM_API_URL": f"http://{address}",
        "DATABASE_URL": part.database(),
        "CELERY_BROKER_URL": part.redis.url,
    }


class Setup:
    """A set-up of ours: processes that deliver, and those that create deliveries.

    `fixtures` is the function of the workload that fills the database, `webhooks` how many a drain
    is for.
    """

    def __init__(
        self,
        part: Part,
        fixtures: str = "fixtures",
        *,
        uses_servers: bool | None = None,
        webhooks: int = DRAIN,
        variables: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        self.part, self.handler, self.webhooks = part, part.handler, webhooks
        is_server = part.uses_servers if uses_servers is None else uses_servers
        given = {"SIM_BIND": f"127.0.0.1:{free_port()}", **variables}
        if is_server:
            given |= server_variables(part)
        given |= {
            "SIM_DATA_DIR": str(part.folder / f"data-{free_port()}"),
            "DJANGO_SETTINGS_MODULE": "connect_sim.settings",
        }
        self.variables, self.env = given, environment(part.folder, **given)
        self.workload = part.process("workload", **given)
        self.slots = self.workload.ask(fixtures, handler=part.handler_url, **options)
        self._kind = "worker" if is_server else "embedded"
        self.workers: list[Process] = []
        self.worker = part.stack.enter_context(self.another_worker())
        # memory:// connects no other process, so the queue changes of a sandbox are made in it.
        self.committer = self.workload if is_server else self.worker
        self._counter = self.worker.log.with_suffix(".counter")
        if fixtures == "fixtures":
            # Warm-up, which also delivers what the fixtures have created.
            self.drain(3)

    @contextmanager
    def another_worker(self) -> Iterator[Process]:
        """Run a worker, or the embedded set-up, for the block."""
        counter = self.part.folder / f"{self._kind}-{free_port()}.counter"
        command = [sys.executable, "-m", "benchmarks.sql_counter", self._kind]
        env = {**self.env, "BENCH_SQL_COUNTER": str(counter)}
        with running(command, env, counter.with_suffix(".log")) as worker:
            worker.wait_until(counter.exists, "the worker starts")
            self.workers.append(worker)
            yield worker
            self.workers.remove(worker)

    def cpu(self) -> float:
        """Return the CPU seconds of all workers."""
        return sum(tree_cpu(worker.popen.pid) for worker in self.workers)

    def drain(self, each: int, *, hanging: bool = False) -> Drain:
        """Create `each` deliveries of each webhook, and measure from first to last arrival.

        The workers' CPU time is measured until the last attempt is recorded.
        """
        count = self.webhooks * each
        self.handler.ask("reset")
        cpu, statements = self.cpu(), sql_counter.read(self._counter)
        self.workload.ask("fill", each=each, hanging=hanging)
        self.finish(count)
        cpu, statements = self.cpu() - cpu, sql_counter.read(self._counter) - statements
        if hanging:
            self.release()
        return {**self.handler.ask("span"), "cpu": cpu / count, "statements": statements / count}

    def finish(self, count: int) -> None:
        """Wait until `count` requests have arrived and all attempts are recorded."""
        wait_for_arrivals(self.handler, count, self.worker)
        self.worker.wait_until(
            lambda: not self.workload.ask("unfinished", hanging=False), "all are recorded"
        )

    def release(self) -> None:
        """Release hanging requests until no delivery of theirs is unfinished."""
        self.worker.wait_until(
            lambda: (
                self.handler.ask("release") or not self.workload.ask("unfinished", hanging=True)
            ),
            "hanging requests are finished",
        )


def wait_for_arrivals(handler: Process, count: int, worker: Process) -> None:
    """Wait until `count` requests have arrived."""
    worker.wait_until(lambda: handler.ask("count") >= count, f"{count} requests arrived")


def latency(committer: Process, handler: Process, command: str, seconds: int) -> Latency:
    """Make changes at RATE, and return the time from commit to arrival, without the first second.

    A request does not name its event, but those of one webhook arrive in event order.
    """
    handler.ask("reset")
    committed = committer.ask(command, rate=RATE, seconds=seconds)
    count = sum(map(len, committed.values()))
    wait_for_arrivals(handler, count, committer)
    arrived = handler.ask("arrivals")
    assert sum(map(len, arrived.values())) == count, f"More than {count} requests arrived."
    pairs = [pair for path, at in committed.items() for pair in zip(at, arrived[path], strict=True)]
    delays = sorted(end - start for start, end in sorted(pairs)[RATE:])
    return {f"p{percent}": delays[len(delays) * percent // 100] for percent in (50, 99)}


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
        python = environments.python(
            "django_webhook",
            f"django-webhook==0.0.15\n{''.join(same)}",
            only=(sys.version_info.major, sys.version_info.minor),
        )
        self._python, self._handler = str(python), part.handler
        self._env = environment(
            part.folder,
            DJANGO_SETTINGS_MODULE="benchmarks.orders.settings",
            BENCH_DATABASE_URL=part.database(),
            BENCH_BROKER_URL=f"{part.redis.url.removesuffix('0')}1",
        )
        self._log = part.folder / "django-webhook.log"
        module = "benchmarks.orders.workload"
        command = [self._python, "-m", "benchmarks.served", module]
        self.workload = part.stack.enter_context(running(command, self._env, self._log))
        self.workload.ask("fixtures", handler=part.handler_url, count=DRAIN)

    def worker(self, kind: str) -> AbstractContextManager[Process]:
        """Run a worker for a block: Celery's prefork pool with one child per core."""
        options, variables = self.KINDS[kind]
        app = ("-m", "celery", "-A", "benchmarks.orders")
        command = [self._python, *app, "worker", "--loglevel", "WARNING", *options]
        return running(command, {**self._env, **variables}, self._log)

    def drain(self, kind: str, each: int) -> Drain:
        """Queue requests in the broker, then start a worker and measure it.

        The first fifth of them warms its processes up.
        """
        count = DRAIN * each
        skip = count // 5
        self._handler.ask("reset")
        self.workload.ask("fill", each=each)
        with self.worker(kind) as worker:
            wait_for_arrivals(self._handler, skip, worker)
            cpu, warm = tree_cpu(worker.popen.pid), self._handler.ask("count")
            wait_for_arrivals(self._handler, count, worker)
            worker.wait_until(lambda: not self.workload.ask("pending"), "all are recorded")
            cpu = (tree_cpu(worker.popen.pid) - cpu) / max(1, count - warm)
        return {**self._handler.ask("span", skip=skip), "cpu": cpu}
