"""`manage.py clock advance 5m`: the running sandbox's time goes forward, and what is due runs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from sandbox import durations, sandbox_file
from sandbox.client import ApiError, Client

# A move waits ten seconds for calls under way, at each of its stops at the most.
_TIMEOUT = 600


class Command(BaseCommand):
    """Read or move the platform's time of the running sandbox."""

    help = "Show the platform's time, or move it forward: clock advance 5m."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("what", choices=["show", "advance"])
        parser.add_argument("by", nargs="?", help="for example 5m, 1h30m, 2d, 45s")

    def handle(self, **options: Any) -> None:
        """Ask the sandbox."""
        body = None
        if options["what"] == "advance":
            if not options["by"]:
                raise CommandError("By how much? For example: clock advance 5m")
            try:
                durations.parse(options["by"])
            except ValueError as error:
                raise CommandError(str(error)) from None
            body = {"by": options["by"]}
        try:
            sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
            client = Client(sandbox.url, sandbox.vendor_api_key)
            if body is None:
                found = client.call("GET", "/sandbox/clock")
                self.stdout.write(found["now"])
                return
            found = client.call("POST", "/sandbox/clock/advance", body, timeout=_TIMEOUT)
        except (sandbox_file.NoSandbox, ApiError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{found['from']} -> {found['now']} ({found['stops']} stops on the way)")
        for name in found["failed"]:
            self.stdout.write(f"Failed: {name}. The log of the sandbox has the error.")
