"""`manage.py clock advance 5m`: move the clock of the running sandbox, and run what is due."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from sandbox import durations, sandbox_file
from sandbox.client import Client

# A move waits up to 10 s for requests in flight at each due time.
_TIMEOUT = 600


class Command(BaseCommand):
    """Read or move the platform time of the running sandbox."""

    help = "Show the platform time, or move it forward: clock advance 5m."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("what", choices=["show", "advance"])
        parser.add_argument("by", nargs="?", help="for example 5m, 1h30m, 2d, 45s")

    def handle(self, **options: Any) -> None:
        """Call the sandbox and print the result."""
        body = None
        if options["what"] == "advance":
            if not options["by"]:
                raise CommandError("A duration is required, for example: clock advance 5m")
            try:
                durations.parse(options["by"])
            except ValueError as error:
                raise CommandError(str(error)) from None
            body = {"by": options["by"]}
        sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
        client = Client(sandbox.url, sandbox.vendor_api_key)
        if body is None:
            self.stdout.write(client.call("GET", "/sandbox/clock")["now"])
            return
        result = client.call("POST", "/sandbox/clock/advance", body, timeout=_TIMEOUT)
        self.stdout.write(f"{result['from']} -> {result['now']} ({result['stops']} due times)")
        for name in result["failed"]:
            self.stdout.write(f"Failed: {name}. See the log of the sandbox.")
