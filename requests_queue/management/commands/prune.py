"""`manage.py prune`: remove the rows that no retention policy keeps, now."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError

from requests_queue.db import retention


class Command(BaseCommand):
    """Print what was removed, or with --dry-run what would be, one kind of rows a line."""

    help = "Remove rows that are older than SIM_KEEP_DAYS or exceed SIM_KEEP_DELIVERIES."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count them, remove nothing")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        """Run retention to its end; exit with 1 if a kind of rows failed."""
        result = retention.run(dry_run=dry_run)
        counts = {name: n for name, n in sorted(result.removed.items()) if n}
        if not counts and not result.failed:
            self.stdout.write("Nothing to remove.")
        elif dry_run:
            self.stdout.write("Would be removed:")
        width = max((len(f"{n:,}") for n in counts.values()), default=0)
        for name, n in counts.items():
            self.stdout.write(f"{n:>{width},} {name}")
        if result.failed:
            raise CommandError(f"Not finished: {', '.join(result.failed)}. Run it again.")
