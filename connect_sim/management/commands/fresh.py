"""`manage.py fresh`: delete the data of a sandbox, so that the next start creates new data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from django.db import connection

from checks import client, sandbox_file
from connect_sim import data_folder
from sandbox.world import snapshot_storage


class Command(BaseCommand):
    """Delete database, snapshots, keys and address in SIM_DATA_DIR; other files stay."""

    help = "Delete the sandbox's data: database, snapshots and keys. Asks first."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="delete without asking")

    def handle(self, **options: Any) -> None:
        """Delete the files after confirmation."""
        folder = settings.SIM_DATA_DIR
        _refuse_other_databases(folder)
        _refuse_while_running(folder)
        if not options["yes"] and not self._confirmed(folder):
            raise CommandError("Nothing was deleted.")
        connection.close()
        with data_folder.failures_named(folder):
            snapshot_storage.delete_drafts()
            for path in data_folder.own_files(folder):
                path.unlink()
            for each in (folder / "snapshots", folder):
                if each.is_dir() and not any(each.iterdir()):
                    each.rmdir()
        self.stdout.write(f"Deleted the data in {folder}. Start again with `{settings.PROGRAM}`.")

    def _confirmed(self, folder: Path) -> bool:
        if not sys.stdin.isatty():
            raise CommandError(
                f"Confirmation is needed: run `{settings.PROGRAM} manage fresh --yes`."
            )
        question = f"Delete all data and keys of the sandbox in {folder}? [y/N] "
        return input(question).strip().lower() in ("y", "yes")


def _refuse_other_databases(folder: Path) -> None:
    database = settings.DATABASES["default"]
    name = database["NAME"]
    if not database["ENGINE"].endswith("sqlite3"):
        raise CommandError(
            f"DATABASE_URL is set, so the data is not in {folder}: drop the database {name} and "
            f"create it again (for example with dropdb and createdb), then start as before."
        )
    if Path(name).parent != folder:
        raise CommandError(
            f"DATABASE_URL is set, so the data is not in {folder}: delete the file {name}, then "
            "start as before."
        )


def _refuse_while_running(folder: Path) -> None:
    try:
        url = sandbox_file.read(folder).address
    except sandbox_file.NoSandbox:
        return
    if client.accepts_connections(url):
        raise CommandError(f"A server is running at {url}: stop it first.")
