"""`manage.py worker`: run a worker of a distributed set-up.

`celery -A connect_sim worker` does the same, but Celery's command line takes 11 MiB more memory: it
imports all of its commands, and an editor for the terminal.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management import BaseCommand
from django.core.management.base import CommandParser

from requests_queue import heap

# Bytes. Statements of many rows would leave a heap 4 MiB larger than it needs to be.
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
        heap.share()
        heap.map_blocks(_MAPPED)
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
