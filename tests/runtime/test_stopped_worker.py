"""A worker of a server is suspended in a transaction, with production settings."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests import orders, stopping
from tests.engines import until
from tests.handlers import handler
from tests.processes import Process, redis_server
from tests.runtime.distributed import Server, command, seeded_database, server

MAX_SECONDS = 5.0


@pytest.mark.nightly(reason="waits for leases of production")
@pytest.mark.parametrize("where", [stopping.IN_CLAIM, stopping.IN_FLUSH])
def test_api_and_deliveries_continue_within_five_seconds(where: str, tmp_path: Path) -> None:
    flag = tmp_path / "stop"
    with (
        handler() as served,
        redis_server(tmp_path) as redis,
        seeded_database() as database,
        server(tmp_path, database, redis.url) as running,
    ):
        program = [sys.executable, "-m", "tests.stopping", where]
        env = {**running.process.env, "STOP_IN": str(flag)}
        log = tmp_path / "stopping.log"
        stopped = Process([*program, *command("worker")[1:], "-n", "stopping@test"], env, log)
        stopped.start()
        try:
            until(lambda: _workers(database) == 3, "all workers have started", 60)
            hook = orders.webhook(running, served.url)
            ordered = _order_until_stopped(running, stopped, flag)
            started, before = time.monotonic(), len(served.received)
            orders.purchase(running)
            assert time.monotonic() - started < MAX_SECONDS
            until(lambda: len(served.received) > before, "deliveries continue")
            assert time.monotonic() - started < MAX_SECONDS
            stopped.popen.send_signal(signal.SIGCONT)
            count = ordered + 1
            orders.until_stats(running, hook["id"], 60, events=count, success_triggers=count)
            assert "Traceback" not in stopped.printed
        finally:
            stopped.popen.send_signal(signal.SIGCONT)
            stopped.stop()


def _order_until_stopped(running: Server, stopped: Process, flag: Path) -> int:
    """Order until the worker has suspended itself; return the number of orders."""
    flag.touch()
    for count in range(1, 200):
        orders.purchase(running)
        if stopping.is_stopped(stopped.popen.pid):
            return count
    raise AssertionError("the worker has claimed no delivery")


def _workers(database: str) -> int:
    with psycopg.connect(database) as connection:
        query = "SELECT COUNT(*) FROM requests_queue_heartbeat WHERE kind='worker'"
        return int(connection.execute(query).fetchone()[0])
