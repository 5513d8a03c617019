"""`manage.py web`: the web server of a distributed set-up; migrates first."""

from __future__ import annotations

import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command
from django.core.management.base import CommandParser

from connect_sim import web
from webhooks import caller


class Command(BaseCommand):
    """Serve the API and the pages with waitress, 32 threads by default."""

    help = "Run the web server (workers and beat are processes of their own)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("--threads", type=int, default=32)

    def handle(self, **options: Any) -> None:
        """Migrate and serve until a signal."""
        call_command("migrate", verbosity=0, interactive=False)
        from connect_sim.wsgi import application

        server = web.create(application, options["threads"])
        # Without it a container's first process isn't ended by SIGTERM, and any other at once.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self.stdout.write(f"Serving at {settings.SIM_BIND}")
        try:
            server.run()
        finally:
            # Those who wait for a validator are told.
            caller.stop()
