"""Django's `migrate`, without the limits that servers have: a migration may take its time."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from requests_queue import database_limits


class Command(migrate.Command):
    """Migrate as Django does."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate with the limits of statements, locks and transactions lifted."""
        with database_limits.lifted(transactions=True, using=options["database"]):
            super().handle(*args, **options)
