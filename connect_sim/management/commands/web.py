"""`manage.py web`: the web server of a distributed set-up; migrates first."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.base import CommandParser

from connect_sim import stopping, web


class Command(BaseCommand):
    """Serve the API and the pages, in 32 threads by default."""

    help = "Run the web server (workers and beat are processes of their own)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("--threads", type=int, default=32)

    def handle(self, **options: Any) -> None:
        """Migrate, and serve until SIGINT or SIGTERM; a second signal ends the process at once."""
        call_command("migrate", verbosity=0, interactive=False)
        from connect_sim.wsgi import application

        try:
            serving = web.Web(application, options["threads"])
        except web.PortTaken as error:
            raise CommandError(str(error)) from None
        wait_for_signal = stopping.on_signals()
        try:
            serving.start()
        except web.NotStarted:
            raise CommandError("The web server can't start; the log above says why.") from None
        self.stdout.write(f"Serving at {settings.SIM_BIND}")
        wait_for_signal()
        serving.stop()
