"""The set-ups that faults happen to: a sandbox, or a server with workers, PostgreSQL and Redis."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import part as pipes
from tests.chaos.disks import Disk, PageLimit
from tests.chaos.invariants import Attempt, InFlight, parse_number
from tests.postgres_server import FOLDER, GIVEN, PostgresServer, postgres_server
from tests.processes import (
    Process,
    Redis,
    Sandbox,
    copy_first_data,
    environment,
    free_port,
    manage,
    output,
    redis_server,
)
from tests.runtime import distributed

START = 180.0  # seconds that the web server may take to start, on a busy machine
_PENDING = "state IN ('waiting', 'calling')"


class Database:
    """The database of a set-up, read beside it; `execute` takes SQL that both kinds know."""

    def __init__(self, url: str = "", file: Path | None = None) -> None:
        self._url, self._file = url, file

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, and return its rows, if any."""
        if self._file is not None:
            with closing(sqlite3.connect(self._file, timeout=20)) as line, line:
                return line.execute(statement).fetchall()
        with psycopg.connect(self._url, autocommit=True) as line:
            cursor = line.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str) -> Any:
        """Return the only value of a query."""
        return self.execute(statement)[0][0]

    def pending(self, webhooks: Sequence[str]) -> int:
        """Return the number of deliveries of the webhooks that are not finished."""
        where = f"webhook_id IN ({_quoted(webhooks)}) AND {_PENDING}"
        return int(self.value(f"SELECT COUNT(*) FROM webhooks_delivery WHERE {where}"))

    def pending_ids(self) -> set[int]:
        """Return the deliveries that are not finished."""
        rows = self.execute(f"SELECT id FROM webhooks_delivery WHERE {_PENDING}")
        return {pk for (pk,) in rows}

    def calling(self) -> set[InFlight]:
        """Return the deliveries that a worker has claimed."""
        rows = self.execute("SELECT id, started_at FROM webhooks_delivery WHERE state = 'calling'")
        return {(pk, str(at)) for pk, at in rows}

    def move_clock(self, seconds: int) -> None:
        """Move a sandbox's platform time at once, forward or back; on SQLite."""
        self.execute(
            'INSERT INTO requests_queue_clock (id, "offset", moving_lease) VALUES (1, 0, 0) '
            "ON CONFLICT DO NOTHING"
        )
        self.execute(f'UPDATE requests_queue_clock SET "offset" = "offset" + {seconds}000000')

    def expire_leases(self) -> None:
        """Let the leases of killed workers end now instead of 30 s after the claim."""
        self.execute("UPDATE webhooks_delivery SET lease = 0 WHERE state = 'calling'")

    def delivered(self, object_id: str) -> int:
        """Return to how many webhooks the creation of an object was delivered."""
        return int(
            self.value(
                "SELECT COUNT(DISTINCT e.webhook_id) FROM webhooks_event e "
                "JOIN webhooks_delivery d ON d.id = e.delivery_id "
                f"WHERE e.object_id = '{object_id}' AND d.state = 'delivered'"
            )
        )

    def events(self, webhooks: Sequence[str]) -> list[tuple[str, str, int]]:
        """Return webhook, object and delivery of all events."""
        return self.execute(
            "SELECT webhook_id, object_id, delivery_id FROM webhooks_event "
            f"WHERE webhook_id IN ({_quoted(webhooks)}) ORDER BY id"
        )  # type: ignore[return-value]

    def deliveries(self, webhooks: Sequence[str]) -> dict[int, tuple[str, str]]:
        """Return webhook and state of all deliveries, by id."""
        rows = self.execute(
            "SELECT id, webhook_id, state FROM webhooks_delivery "
            f"WHERE webhook_id IN ({_quoted(webhooks)})"
        )
        return {pk: (webhook, state) for pk, webhook, state in rows}

    def attempts(self, webhooks: Sequence[str]) -> list[Attempt]:
        """Return all attempts, in the order in which they were recorded."""
        rows = self.execute(
            "SELECT webhook_id, delivery_id, outcome, started_at, response_body "
            f"FROM webhooks_attempt WHERE webhook_id IN ({_quoted(webhooks)}) ORDER BY id"
        )
        return [
            Attempt(webhook, delivery, outcome, str(at), parse_number(bytes(body)))
            for webhook, delivery, outcome, at, body in rows
        ]

    def counters(self, webhooks: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the counters of each webhook."""
        names = ("events", "triggers", "success_triggers", "failure_triggers")
        rows = self.execute(
            f"SELECT id, {', '.join(names)} FROM webhooks_webhook WHERE id IN ({_quoted(webhooks)})"
        )
        return {pk: dict(zip(names, values, strict=True)) for pk, *values in rows}


def _quoted(ids: Sequence[str]) -> str:
    return ", ".join(f"'{pk}'" for pk in ids)


@dataclass
class SetUp:
    """What cases have in common: a running platform, its database, and a receiver."""

    name: str
    platform: Sandbox
    database: Database
    receiver: pipes.Process
    receiver_url: str
    # Whether the API is down on purpose.
    is_down: bool = field(default=False, init=False)


@dataclass
class Embedded(SetUp):
    """A sandbox: web server, worker, engine and scheduler in one process, on SQLite."""

    disk: Disk


@dataclass
class Distributed(SetUp):
    """A server: web, workers and beat as processes, with PostgreSQL and Redis of its own."""

    platform: distributed.Server
    postgres: PostgresServer
    redis: Redis


def new_keys(setup: SetUp, count: int) -> tuple[list[str], list[str]]:
    """Create keys of the vendor and of the distributor."""
    program = (
        "from requests_queue.catalog import keys, models\n"
        "for kind in ('vendor', 'provider'):\n"
        "    account = models.Account.objects.filter(type=kind).earliest('created', 'pk')\n"
        f"    print(*(keys.create(account, 'Load')[0] for _ in range({count})))"
    )
    command = manage("shell", "--no-imports", "-c", program)
    *_, vendor, distributor = output(command, setup.platform.process.env).splitlines()
    return vendor.split(), distributor.split()


@contextmanager
def running_receiver(folder: Path) -> Iterator[tuple[pipes.Process, str]]:
    """Run the receiver, and yield it and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.chaos.receiver", str(port)]
    with pipes.running(command, environment(folder), folder / "receiver.log") as receiver:
        receiver.ask("ready")
        yield receiver, f"http://127.0.0.1:{port}"


@contextmanager
def embedded(folder: Path, disk: Disk | None = None) -> Iterator[Embedded]:
    """Run a sandbox on a disk that can be filled, by default one that limits SQLite's pages."""
    disk = disk or PageLimit(folder / "disk-is-full")
    data = folder / "data"
    with running_receiver(folder) as (receiver, url), disk.mounted(data):
        copy_first_data(data)
        address = f"127.0.0.1:{free_port()}"
        env = environment(data, SIM_BIND=address, SIM_QUIET="true", **disk.variables)
        command = [sys.executable, "-m", "tests.chaos.full_disk", "sandbox"]
        process = Process(command, env, folder / "sandbox.log").start()
        running = Sandbox(f"http://{address}", data, process)
        running.headers["X-Sandbox-Actor"] = "test"
        try:
            running.wait(START)
            database = Database(file=data / "connect.sqlite3")
            yield Embedded("embedded", running, database, receiver, url, disk)
        finally:
            running.process.stop()


@contextmanager
def server(folder: Path, workers: int) -> Iterator[Distributed]:
    """Run a server set-up; PostgreSQL and Redis are its own, so that they can be stopped."""
    (folder / "redis").mkdir()
    with (
        running_receiver(folder) as (receiver, url),
        redis_server(folder / "redis") as redis,
        postgres_server() as postgres,
    ):
        fill(postgres)
        with distributed.server(
            folder, postgres.url, redis.url, workers=workers, start_timeout=START
        ) as running:
            database = Database(postgres.url)
            yield Distributed("distributed", running, database, receiver, url, postgres, redis)


def fill(postgres: PostgresServer) -> None:
    """Fill an empty database with the demo data; a run of pytest has a template to copy."""
    if FOLDER not in os.environ or GIVEN in os.environ:
        distributed.fill(postgres.url)
        return
    # `initdb` may be a link outside of the folder of all programs.
    programs = (postgres.binaries / "initdb").resolve().parent
    with distributed.seeded_database() as template:
        dump = subprocess.run(
            [programs / "pg_dump", template], check=True, capture_output=True
        ).stdout
    subprocess.run(
        [programs / "psql", "-q", "-d", postgres.url],
        check=True,
        input=dump,
        stdout=subprocess.DEVNULL,
    )
