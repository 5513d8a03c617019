"""Import a file: check it in a database of its own, then save it as a snapshot."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.conf import settings
from django.db import DataError, connection, connections, models

from requests_queue.catalog.models import User
from sandbox.snapshot_files import contents, loading, upgrading
from sandbox.snapshot_files.format import Reader, unreadable
from sandbox.snapshot_files.loading import SCRATCH
from sandbox.world import snapshot_storage, snapshots, tables
from sandbox.world.snapshot_storage import Exists, Snapshot


@dataclass(frozen=True, slots=True)
class Imported:
    """A snapshot, the ids of webhooks and products with new secrets, and headers without a value.

    `headers` are their names by webhook.
    """

    snapshot: Snapshot
    webhooks: list[str]
    products: list[str]
    headers: dict[str, list[str]]


def import_file(file: IO[bytes], name: str = "", *, replace: bool = False) -> Imported:
    """Save a file as a snapshot of this name, by default of its own.

    Raises Invalid, Exists, and Refused (413 for a file above the limits, 503 for a full disk);
    nothing has changed then.
    """
    with snapshots.file_errors():
        return tables.in_own_thread(partial(_import, file, name, replace))


def _import(file: IO[bytes], name: str, replace: bool) -> Imported:
    reader = Reader(file)
    manifest = reader.manifest
    name = name or manifest.name
    snapshots.check_name(name, new=True)
    storage = snapshot_storage.current()
    if not replace and storage.get(name):
        raise Exists(name)
    if not upgrading.is_current(manifest):
        file.seek(0)
        reader = Reader(upgrading.upgrade(file.read()))
    folder = Path(settings.SIM_DATA_DIR) / snapshot_storage.FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # What a killed process leaves is deleted by the next start.
    path = folder / f"{uuid.uuid4().hex}{snapshot_storage.DRAFT}"
    snapshot = Snapshot(name, manifest.created, manifest.now, tables.fingerprint())
    with loading.scratch(path):
        loaded = loading.load(reader, apps, SCRATCH)
        try:
            with _source(path) as source:
                storage.create(snapshot, partial(_fill, source), replace=replace)
        except DataError as error:
            raise unreadable(f"This database cannot store the rows: {str(error)[:300]}") from None
    new = loaded.new_secrets
    return Imported(
        snapshot, new.get("webhooks.Webhook", []), new.get("catalog.Product", []), loaded.headers
    )


@contextmanager
def _source(path: Path) -> Iterator[str]:
    """Yield the name of a schema with the loaded rows: SQLite attaches it, outside a transaction.

    On PostgreSQL `_fill` creates it.
    """
    if connection.vendor == "postgresql":
        yield f"imported_{uuid.uuid4().hex}"
        return
    # Another connection reads the file now.
    connections[SCRATCH].close()
    with snapshot_storage.attached(str(path), "imported"):
        yield "imported"


def _fill(source: str, schema: str) -> None:
    """Copy the loaded rows, and what a file leaves out of the present, to an empty schema."""
    is_postgres = connection.vendor == "postgresql"
    if is_postgres:
        _create_source(source)
    with connection.cursor() as cursor:
        # The users first, since others select from them.
        for model in sorted(tables.world_models(), key=lambda each: each is not User):
            is_listed = model._meta.label in contents.TABLES
            select = (_loaded_rows if is_listed else _present_rows)(model, source, schema)
            cursor.execute(f"CREATE TABLE {tables.table(model, schema)} AS {select}")
        if is_postgres:
            cursor.execute(f"DROP SCHEMA {source} CASCADE")


def _loaded_rows(model: type[models.Model], source: str, schema: str) -> str:
    """Return the statement for the rows of a file, whose users are those of this sandbox.

    A row that needs a user whom this sandbox lacks is left out.
    """
    people = f"{tables.table(User, schema)} u JOIN {tables.table(User, source)} l ON l.uid = u.uid"
    selected, conditions = [], ["1 = 1"]
    for field in contents.columns(model):
        name = tables.names([str(field.column)])
        if contents.is_user(field):
            user = f"(SELECT u.id FROM {people} WHERE l.id = r.{name})"
            selected.append(f"{user} AS {name}")
            if not field.null:
                conditions.append(f"{user} IS NOT NULL")
        else:
            selected.append(f"r.{name}")
    return (
        f"SELECT {', '.join(selected)} FROM {tables.table(model, source)} r "
        f"WHERE {' AND '.join(conditions)}"
    )


def _present_rows(model: type[models.Model], source: str, schema: str) -> str:
    """Return the statement for rows of the present: of users whose account the file has."""
    if model is User:
        accounts = f"SELECT id FROM {source}.catalog_account"
        condition = f"account_id IS NULL OR account_id IN ({accounts})"
    else:
        people = [each.column for each in contents.columns(model) if contents.is_user(each)]
        users = f"SELECT id FROM {tables.table(User, schema)}"
        condition = " AND ".join([f"{name} IN ({users})" for name in people] or ["1 = 1"])
    names = tables.names(tables.columns_of(model))
    return f"SELECT {names} FROM {tables.table(model)} WHERE {condition}"


def _create_source(source: str) -> None:
    """Copy the scratch database to a schema, which nobody sees before it is dropped."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {source}")
        for model in tables.world_models():
            if model is not User and model._meta.label not in contents.TABLES:
                continue
            there = tables.table(model, source)
            fields: Any = contents.columns(model)
            names = tables.names([field.column for field in fields])
            cursor.execute(
                f"CREATE TABLE {there} AS SELECT {names} FROM {tables.table(model)} WITH NO DATA"
            )
            marks = ", ".join(["%s"] * len(fields))
            for rows in loading.in_batches(model._base_manager.using(SCRATCH).iterator()):
                cursor.executemany(
                    f"INSERT INTO {there} ({names}) VALUES ({marks})",
                    [
                        [
                            field.get_db_prep_save(getattr(row, field.attname), connection)
                            for field in fields
                        ]
                        for row in rows
                    ],
                )
