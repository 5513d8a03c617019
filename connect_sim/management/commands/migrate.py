"""Django's `migrate` without the time limits of statements, locks and transactions."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate

from connect_sim import checks
from requests_queue import database_limits


class Command(migrate.Command):
    """Django's command without time limits."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate without the time limits, which are meant for servers."""
        # `--prune` removes the names that no longer exist.
        if not options["prune"] and (problem := checks.migration_problem(options["database"])):
            raise CommandError(problem)
        with database_limits.lifted(transactions=True, using=options["database"]):
            super().handle(*args, **options)
