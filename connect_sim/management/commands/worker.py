"""`manage.py worker`: run a worker of a distributed set-up.

`celery -A connect_sim worker` does the same, but Celery's command line takes 11 MiB more memory: it
imports all of its commands, and an editor for the terminal.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Any

from django.core.management import BaseCommand
from django.core.management.base import CommandParser

# Of glibc's <malloc.h>.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
# Its default, in bytes.
_MAPPED = 128 * 1024


class Command(BaseCommand):
    """Run the delivery engine and Celery's tasks."""

    help = "Run a worker, which delivers events and does the scheduled jobs."
    # The worker runs the checks that a start needs: `check_start` in connect_sim/celery.py.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument(
            "--hostname", "-n", help="the worker's name (default: celery@ and that of the host)"
        )
        parser.add_argument("--loglevel", "-l", default="WARNING")

    def handle(self, **options: Any) -> None:
        """Work until SIGINT or SIGTERM; a second signal ends the process."""
        _limit_heap()
        from connect_sim.celery import app

        # Workers coordinate through the table of deliveries and need no messages between them.
        worker = app.Worker(
            hostname=options["hostname"],
            loglevel=options["loglevel"],
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
        sys.exit(worker.exitcode)


def _limit_heap() -> None:
    """Let all threads allocate from one heap, and large blocks outside of it.

    glibc has one for each thread, so that threads don't wait for each other: those of Python wait
    for its lock anyway. What is free in one heap isn't used by another, which takes 5 MiB with
    1,000 requests in flight.

    A large block is returned to the system when it is freed. But glibc then takes the next ones of
    its size from the heap, which statements of many rows leave 4 MiB larger than it needs to be.
    """
    # Other C libraries don't have it.
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        # Set to any value, it isn't raised any more.
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)
