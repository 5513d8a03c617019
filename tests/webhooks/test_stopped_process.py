"""A paused process that holds locks blocks the others for the timeout at most.

PostgreSQL only (see `conftest.py`): with SQLite all processes are on one machine, and a process
that is paused with the write lock blocks the others.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import connection

from requests_queue.db import database_limits
from tests import make, stopping
from tests.engines import running, settled, until
from tests.handlers import handler
from tests.processes import ROOT, environment
from webhooks import webhook_health
from webhooks.models import Attempt, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]
TIMEOUT = 1.0
# For statements that wait for the locks, on a busy machine.
AT_MOST = TIMEOUT + 1.0


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process that uses this test's database."""
    database = connection.settings_dict
    password = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
    at = f"{database['USER']}{password}@{database['HOST']}:{database['PORT']}"
    return environment(
        folder,
        DATABASE_URL=f"postgres://{at}/{database['NAME']}",
        SIM_ENCRYPTION_KEY=settings.SIM_ENCRYPTION_KEY,
        SIM_IDLE_IN_TRANSACTION_TIMEOUT=str(TIMEOUT),
    )


@contextmanager
def worker(folder: Path, where: str) -> Iterator[subprocess.Popen[str]]:
    """Run an engine in a process that pauses itself at the first call of a function."""
    flag, log = folder / "stop", folder / "worker.log"
    flag.touch()
    env = {**_environment(folder), "STOP_IN": str(flag)}
    command = [sys.executable, "-m", "tests.stopping", where, "engine"]
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
    try:
        assert process.stdout and process.stdout.readline() == "started\n", log.read_text()
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=20)


@pytest.mark.parametrize("where", [stopping.IN_CLAIM, stopping.IN_FLUSH])
def test_process_stopped_in_transaction_blocks_others_until_timeout(
    catalog: make.Catalog, where: str, tmp_path: Path
) -> None:
    with handler() as served, worker(tmp_path, where) as stopped:
        make.webhook(catalog, served.url)
        make.order(catalog)
        until(lambda: stopping.is_stopped(stopped.pid), "the worker has stopped itself")
        began = time.monotonic()
        # One waits for the webhook's row, the other for the claim.
        make.order(catalog)
        assert time.monotonic() - began < AT_MOST
        before = len(served.received)
        with running():
            until(lambda: len(served.received) > before, "the other engine makes a call")
            assert time.monotonic() - began < AT_MOST
            if where == stopping.IN_CLAIM:
                until(settled, "the delivery of the claim that was rolled back is made, too")
        stopped.send_signal(signal.SIGCONT)
        until(settled, "the worker goes on, and writes what it has in memory")
        make.order(catalog)
        until(settled, "the worker makes calls again, alone")
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["success"] * 3
    assert len(served.received) == 3
    assert webhook_health.counter_discrepancies() == []
    assert Webhook.objects.get().success_triggers == 3
    log = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) <= 4, log


# Locks the webhooks, and pauses while the server sends more than it reads.
_READING = """
import os, signal, threading, django
django.setup()
from django.db import connection, transaction
from webhooks.models import Webhook
with transaction.atomic(), connection.cursor() as cursor:
    list(Webhook.objects.select_for_update())
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    cursor.execute("SELECT repeat('x', 1000) FROM generate_series(1, 500000)")
"""


def test_process_stopped_while_reading_blocks_others_until_timeout(
    catalog: make.Catalog,
    hook: Webhook,
    tmp_path: Path,
) -> None:
    env = {**_environment(tmp_path), "DJANGO_SETTINGS_MODULE": "connect_sim.settings"}
    process = subprocess.Popen([sys.executable, "-c", _READING], cwd=ROOT, env=env)
    try:
        until(lambda: stopping.is_stopped(process.pid), "it has stopped itself")
        began = time.monotonic()
        make.order(catalog)
        assert time.monotonic() - began < AT_MOST
    finally:
        process.kill()
        process.wait(10)


def test_sessions_have_the_limits_of_the_settings_and_long_work_has_none() -> None:
    assert _limits() == ["10s", "1min", "10min"]
    with database_limits.lifted():
        assert _limits() == ["0", "0", "10min"]
    with database_limits.lifted(transactions=True):
        assert _limits() == ["0", "0", "0"]
    assert _limits() == ["10s", "1min", "10min"]


def _limits() -> list[str]:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}")
        return list(cursor.fetchone())


def test_migrations_have_no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    during: list[list[str]] = []
    monkeypatch.setattr(migrate.Command, "handle", lambda *a, **k: during.append(_limits()))
    call_command("migrate")
    assert (during, _limits()) == ([["0", "0", "0"]], ["10s", "1min", "10min"])
