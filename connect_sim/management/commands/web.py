"""`manage.py web`: run the web server of a distributed set-up, after migrations."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command
from django.core.management.base import CommandParser

from connect_sim import checks, data_lock, logs, tracing, web
from connect_sim.installation import StartError
from connect_sim.metrics import exporter
from portal import sign_in
from requests_queue.event_loops import StartFailed


class Command(BaseCommand):
    """Serve the API and the pages."""

    help = "Run the web server (workers and beat are separate processes)."
    # It runs those that a start needs.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("--threads", type=int, default=32)

    def handle(self, **options: Any) -> None:
        """Migrate, and serve until SIGINT or SIGTERM; a second signal ends the process."""
        checks.require_valid_settings()
        data_lock.hold(exclusive=False)
        # A port that is taken prevents the start before anything is written.
        exporter.start()
        from connect_sim.wsgi import application

        server = web.Web(application, options["threads"])
        call_command("migrate", verbosity=0, interactive=False)
        data_lock.watch()
        wait_for_stop = web.on_signals()
        tracing.start()
        try:
            server.start()
        except StartFailed as error:
            raise StartError(error) from None
        if settings.SIM_LOG_FORMAT == logs.TEXT:
            self._print_start()
        wait_for_stop()
        server.stop()
        tracing.stop()

    def _print_start(self) -> None:
        self.stdout.write(f"Serving at {settings.SIM_BIND}")
        if not sign_in.has_administrator():
            self.stdout.write(
                "There is no administrator yet. Create the first one with `manage.py firstadmin`, "
                "which prints a link to sign in with."
            )
