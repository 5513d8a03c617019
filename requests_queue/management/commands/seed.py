"""`manage.py seed`: add demo data; idempotent."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from django.db import OperationalError, ProgrammingError
from rich.console import Console

from requests_queue import seed


class Command(BaseCommand):
    """Add missing demo data."""

    help = "Add demo data: products, customers, requests. Existing data is not changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="print nothing")

    def handle(self, **options: Any) -> None:
        """Add the data and print what was added."""
        try:
            if options["quiet"]:
                seed.run(lambda line: None)
            elif self.stdout.isatty():
                self._on_terminal()
            else:
                self.stdout.write(str(seed.run(self.stdout.write)))
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database reported: {error}. Run `migrate` first if the database is new."
            ) from error

    def _on_terminal(self) -> None:
        """Print the lines above a spinner."""
        console = Console(highlight=False)
        with console.status("Adding demo data"):
            summary = seed.run(console.print)
        console.print(str(summary))
