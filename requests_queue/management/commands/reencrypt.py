"""`manage.py reencrypt`: encrypt all secrets with the first key of SIM_ENCRYPTION_KEY."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from django.db import OperationalError

from requests_queue.db import database_errors, reencryption
from requests_queue.db.reencryption import Column, Count


class Command(BaseCommand):
    """Re-encrypt each column in steps; it can be interrupted, and run beside the server."""

    help = (
        "Encrypt all secrets with the first key of SIM_ENCRYPTION_KEY, in steps. It can be "
        "interrupted and run again, while the server is running."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("--dry-run", action="store_true", help="count rows, change nothing")

    def handle(self, **options: Any) -> None:
        """Print a line for each column; fail if rows cannot be decrypted."""
        is_dry, failed = options["dry_run"], 0
        for column in reencryption.columns():
            count = self._column(column, is_dry=is_dry)
            done = "to re-encrypt" if is_dry else "re-encrypted"
            self.stdout.write(f"{column}: {count.replaced} {done}, {count.current} current")
            self._report_unreadable(column, count)
            failed += count.unreadable
        if failed:
            raise CommandError(
                f"Rows that cannot be decrypted: {failed}. Append their key to SIM_ENCRYPTION_KEY, "
                "after a comma, or save new secrets for them."
            )

    def _column(self, column: Column, *, is_dry: bool) -> Count:
        count = Count()
        try:
            for step in reencryption.reencrypt(column, is_dry=is_dry):
                count = step
        except OperationalError as error:
            raise CommandError(
                f"The database reported at {column}: {database_errors.summary(error)}. Run the "
                "command again: it skips what is current."
            ) from error
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted at {column} after {count.replaced} rows of it. Run the command "
                "again: it skips what is current."
            ) from None
        return count

    def _report_unreadable(self, column: Column, count: Count) -> None:
        for pk in count.examples:
            self.stderr.write(
                f"{column.model._meta.object_name} {pk}: {column.name} cannot be decrypted with "
                "any key of SIM_ENCRYPTION_KEY."
            )
        if more := count.unreadable - len(count.examples):
            self.stderr.write(f"{column}: {more} more rows cannot be decrypted.")
