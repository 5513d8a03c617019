"""Django's `migrate` without time limits, and faster for an empty database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.commands import migrate
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections

from connect_sim import checks, data_folder, new_database
from connect_sim.installation import StartError
from requests_queue.db import database_limits


class Command(migrate.Command):
    """Django's command without time limits, which are meant for servers."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate; create all tables of an empty database at once, unless a target is given."""
        using = options["database"]
        database = connections[using]
        if database.vendor == "sqlite":
            data_folder.create_database(Path(database.settings_dict["NAME"]))
        # `--prune` removes the names that no longer exist.
        if not options["prune"] and (problem := checks.migration_problem(using)):
            raise StartError(problem)
        # Otherwise each start would import all migrations, to find that there are none to apply.
        if not (options["verbosity"] or _is_partial(options)) and checks.is_migrated(using):
            return
        with database_limits.lifted(transactions=True, using=using):
            if _is_partial(options) or not new_database.is_empty(using):
                super().handle(*args, **options)
                return
            new_database.create(using)
            # Django's command would build the states of all migrations, to find none to apply.
            emit_post_migrate_signal(options["verbosity"], options["interactive"], using)
            if options["verbosity"]:
                self.stdout.write("All tables are created.")


def _is_partial(options: dict[str, Any]) -> bool:
    """Return whether the migrations of one app, or none, are asked for."""
    others = ("app_label", "plan", "check_unapplied", "fake", "fake_initial", "prune")
    return any(options.get(name) for name in others)
