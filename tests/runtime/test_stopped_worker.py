"""A worker of a team server is stopped in the middle of a transaction, at production settings."""

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
from tests.postgres_server import postgres_database
from tests.processes import Process, redis_server
from tests.runtime.distributed import Server, command, server

AT_MOST = 5.0


@pytest.mark.nightly
@pytest.mark.parametrize("where", [stopping.IN_CLAIM, stopping.IN_FLUSH])
def test_api_and_deliveries_go_on_within_five_seconds(where: str, tmp_path: Path) -> None:
    flag = tmp_path / "stop"
    with (
        handler() as served,
        redis_server(tmp_path) as redis,
        postgres_database() as database,
        server(tmp_path, database, redis.url) as running,
    ):
        program = [sys.executable, "-m", "tests.stopping", where, "celery"]
        env = {**running.process.env, "STOP_IN": str(flag)}
        log = tmp_path / "stopping.log"
        stopped = Process([*program, *command("worker")[1:], "-n", "stopping@test"], env, log)
        stopped.start()
        try:
            until(lambda: _workers(database) == 3, "all workers have started", 60)
            hook = orders.webhook(running, served.url)
            ordered = _order_until_stopped(running, stopped, flag)
            began, before = time.monotonic(), len(served.seen)
            orders.purchase(running)
            assert time.monotonic() - began < AT_MOST
            until(lambda: len(served.seen) > before, "deliveries go on")
            assert time.monotonic() - began < AT_MOST
            stopped.popen.send_signal(signal.SIGCONT)
            count = ordered + 1
            orders.until_stats(running, hook["id"], 60, events=count, success_triggers=count)
            assert "Traceback" not in stopped.printed
        finally:
            stopped.popen.send_signal(signal.SIGCONT)
            stopped.stop()


def _order_until_stopped(running: Server, stopped: Process, flag: Path) -> int:
    """Order until the worker has taken a part in it and stopped itself; return how often."""
    flag.touch()
    for count in range(1, 200):
        orders.purchase(running)
        if stopping.is_stopped(stopped.popen.pid):
            return count
    raise AssertionError("the worker never took a delivery")


def _workers(database: str) -> int:
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT COUNT(*) FROM requests_queue_pulse WHERE kind='worker'")
        return int(found.fetchone()[0])
