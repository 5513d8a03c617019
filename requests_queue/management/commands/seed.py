"""`manage.py seed`: demo data, as often as you like."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from django.db import OperationalError, ProgrammingError
from rich.console import Console

from requests_queue import seed


class Command(BaseCommand):
    """Add the demo data that are missing."""

    help = "Add demo data: products, customers, requests. What is there stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("--quiet", action="store_true", help="print nothing")

    def handle(self, **options: Any) -> None:
        """Seed, and say what was made."""
        try:
            if options["quiet"]:
                seed.run(lambda line: None)
            elif self.stdout.isatty():
                self._on_terminal()
            else:
                self.stdout.write(str(seed.run(self.stdout.write)))
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database says: {error}. If it is a new one, run `migrate` first."
            ) from error

    def _on_terminal(self) -> None:
        """Print the lines above one that moves while the database works."""
        console = Console(highlight=False)
        with console.status("Adding demo data"):
            summary = seed.run(console.print)
        console.print(str(summary))
