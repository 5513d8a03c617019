"""Import a file: check it in a database of its own, then save it as a snapshot.

A file of an older version is loaded at its migrations, migrated, and written again. A process of
its own does it, whose only database is empty: migrations may use any connection.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any

from django.apps import apps as present
from django.db import DataError, IntegrityError, connection, connections, models, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from checks.throwaway import environment
from requests_queue.catalog.models import User
from requests_queue.errors import Refused
from sandbox.readings.registry import parse_choice
from sandbox.snapshot_files import contents, exporting, values
from sandbox.snapshot_files.format import Manifest, Reader, Row, newer, unreadable
from sandbox.snapshot_files.values import Wrong
from sandbox.world import snapshot_storage, snapshots, tables
from sandbox.world.snapshot_storage import Exists, Snapshot

_SCRATCH = "scratch"
_OPTIONS = {"init_command": "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF"}
_MAX_ERROR = 300  # characters of an error of the database, or of a migration
_TIMEOUT = 300  # seconds of a migration
_REFUSED = 3  # the exit code for a file that cannot be imported; standard error says why
_PROGRAM = """
import os
import django
output = os.fdopen(os.dup(1), "wb")
# Whatever a migration prints.
os.dup2(2, 1)
django.setup()
from sandbox.snapshot_files import importing
importing.upgrade_input(output)
"""


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
    if not _is_current(manifest):
        file.seek(0)
        reader = Reader(upgrade(file.read()))
    snapshot = Snapshot(name, manifest.created, manifest.now, tables.fingerprint())
    with snapshot_storage.new_draft() as path, _scratch(path):
        loaded = _load(reader, present, _SCRATCH)
        try:
            with _source(path) as source:
                storage.create(snapshot, partial(_fill, source), replace=replace)
        except DataError as error:
            text = str(error)[:_MAX_ERROR]
            raise unreadable(f"This database cannot store the rows: {text}") from None
    new = loaded.new_secrets
    return Imported(
        snapshot, new.get("webhooks.Webhook", []), new.get("catalog.Product", []), loaded.headers
    )


# Files of older versions.


def _is_current(manifest: Manifest) -> bool:
    """Return whether a file is of this version's migrations; raises Invalid for newer ones."""
    nodes = MigrationLoader(None).graph.nodes
    for app, names in manifest.migrations.items():
        if any((app, name) not in nodes for name in names):
            raise newer(manifest.application)
    return manifest.migrations == contents.migrations()


def upgrade(content: bytes) -> io.BytesIO:
    """Return an older file as this version would write it; raises Invalid."""
    folder, settings = snapshot_storage.draft_folder(), os.environ["DJANGO_SETTINGS_MODULE"]
    try:
        with tempfile.TemporaryDirectory(snapshot_storage.DRAFT, dir=folder) as data_dir:
            ended = subprocess.run(
                [sys.executable, "-P", "-c", _PROGRAM],
                env={
                    **environment(os.environ),
                    "DJANGO_SETTINGS_MODULE": settings,
                    "SIM_DATA_DIR": data_dir,
                },
                input=content,
                capture_output=True,
                timeout=_TIMEOUT,
            )
    except subprocess.TimeoutExpired:
        raise unreadable(f"The file cannot be migrated within {_TIMEOUT} s.") from None
    error = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2][:_MAX_ERROR]
    if ended.returncode == _REFUSED:
        raise unreadable(error)
    if ended.returncode:
        raise unreadable(f"The file cannot be migrated to this version: {error}")
    return io.BytesIO(ended.stdout)


def upgrade_input(output: IO[bytes]) -> None:
    """Read an older file from standard input, and write it as this version does."""
    try:
        content = _upgraded(sys.stdin.buffer.read())
    except Refused as error:
        sys.stderr.write(error.errors[0].message)
        sys.exit(_REFUSED)
    output.write(content)
    output.close()


def _upgraded(content: bytes) -> bytes:
    reader = Reader(io.BytesIO(content))
    manifest = reader.manifest
    targets = [(app, name) for app, names in manifest.migrations.items() for name in names]
    _load(reader, MigrationExecutor(connection).migrate(targets).apps, connection.alias)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    connection.check_constraints()
    snapshot = Snapshot(manifest.name, manifest.created, manifest.now)
    with exporting.write(snapshot, "main", manifest.secrets) as written:
        return written.read()


# Rows of a file in an empty database.


@dataclass(slots=True)
class _Loaded:
    """What was loaded: users by their ids, rows with new secrets, and headers without a value.

    `users` has the numbers that rows of the scratch database have for them.
    """

    users: dict[str, int] = field(default_factory=dict)
    new_secrets: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)


@contextmanager
def _scratch(path: Path) -> Iterator[None]:
    """Create the tables of the world in a file, which this thread reaches as _SCRATCH."""
    configured = connections.configure_settings(
        {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": _OPTIONS}}
    )
    # Of this thread only: other threads go through all databases of the settings.
    wrapper = DatabaseWrapper(configured["default"], _SCRATCH)
    connections[_SCRATCH] = wrapper
    try:
        with wrapper.constraint_checks_disabled(), wrapper.schema_editor() as editor:
            for model in tables.world_models():
                if not model._meta.auto_created:
                    editor.create_model(model)
        yield
    finally:
        wrapper.close()
        del connections[_SCRATCH]


def _load(reader: Reader, apps: Any, using: str) -> _Loaded:
    """Load the rows of a file in one transaction, and check all constraints; raises Invalid.

    `apps` has the models at the file's migrations.
    """
    counts = reader.manifest.tables
    table_models = {label: _model(apps, label) for label in counts}
    # An older file lacks the tables that came later.
    if apps is present and [*table_models] != [*contents.TABLES]:
        raise unreadable("The file lacks tables, or has them in another order.")
    if not counts.get("catalog.Account"):
        raise unreadable("The file has no account: a restore would delete all users.")
    loaded = _Loaded()
    database = connections[using]
    with database.constraint_checks_disabled():
        try:
            with transaction.atomic(using):
                for label, columns, batches in reader.tables():
                    _load_table(table_models[label], label, columns, batches, using, loaded)
                user = apps.get_model(User._meta.label)
                user._base_manager.using(using).bulk_create(
                    user(id=number, uid=uid, username=uid) for uid, number in loaded.users.items()
                )
                database.check_constraints()
        except (IntegrityError, DataError, OverflowError) as error:
            raise unreadable(f"The rows contradict each other: {str(error)[:_MAX_ERROR]}") from None
    return loaded


def _model(apps: Any, label: str) -> Any:
    """Return the model of a table; raises Invalid."""
    model = None
    with suppress(LookupError, ValueError):
        model = apps.get_model(label)
    # Its own spelling, since Django ignores case.
    if model is None or model._meta.label != label or not _may_have(label):
        raise unreadable(f"A snapshot's file has no table {label[:60]}.")
    return model


def _may_have(label: str) -> bool:
    """Return whether a file may have a table: a listed one, or one that exists no more."""
    all_models = present.get_models(include_auto_created=True)
    return label in contents.TABLES or label not in {model._meta.label for model in all_models}


def _load_table(
    model: Any,
    label: str,
    names: Collection[str],
    batches: Iterator[list[Row]],
    using: str,
    loaded: _Loaded,
) -> None:
    fields = {each.attname: each for each in tables.stored_fields(model)}
    # Of the file, which may have any JSON for a name.
    if unknown := next((str(name) for name in names if name not in [*fields]), ""):
        raise unreadable(f"The table {label} has no column {unknown[:60]}.")
    if len(names) > len(fields):
        raise unreadable(f"A column of {label} is there twice.")
    if missing := next((name for name in fields if name not in names), ""):
        raise unreadable(f"The column {missing} of {label} is missing.")
    numbers = count(1)
    for batch in batches:
        rows = [dict(zip(names, row, strict=True)) for row in batch]
        model._base_manager.using(using).bulk_create(
            model(**_decoded(label, next(numbers), fields, row, loaded)) for row in rows
        )


def _decoded(
    label: str, number: int, fields: dict[str, Any], row: dict[str, Any], loaded: _Loaded
) -> dict[str, Any]:
    """Return the values of a row, with new secrets; raises Invalid."""
    decoded = {}
    for name, value in row.items():
        column = fields[name]
        try:
            if contents.is_user(column) and value is not None:
                value = _user(value, loaded)
            elif value is None and (new := contents.NEW_SECRETS.get((label, name))):
                loaded.new_secrets.setdefault(label, []).append(str(row.get("id")))
                value = new()
            elif (label, name) in contents.HEADERS:
                value = _headers(label, row, value, loaded)
            elif (label, name) == ("sandbox.Reading", "alternative"):
                _check_choice(row.get("id"), value)
            decoded[name] = values.decode(column, value)
        except Wrong as error:
            raise unreadable(f"Row {number} of {label}, column {name}: {error}.") from None
    return decoded


def _user(uid: Any, loaded: _Loaded) -> int:
    """Return the number of a user."""
    if not isinstance(uid, str) or not 0 < len(uid) <= 32 or not uid.isascii():
        raise Wrong("it is not the id of a user")
    return loaded.users.setdefault(uid, len(loaded.users) + 1)


def _check_choice(reading: Any, alternative: Any) -> None:
    try:
        parse_choice(f"{reading}={alternative}")
    except ValueError:
        raise Wrong("it is not an alternative of the reading") from None


def _headers(label: str, row: dict[str, Any], headers: Any, loaded: _Loaded) -> dict[str, str]:
    """Return the headers that are sent, empty where a file has no value."""
    if not isinstance(headers, dict) or not all(
        value is None or isinstance(value, str) for value in headers.values()
    ):
        raise Wrong("it is not an object of texts")
    if label == "webhooks.Webhook" and (empty := [n for n, v in headers.items() if v is None]):
        loaded.headers[str(row.get("id"))] = empty
    return {name: value or "" for name, value in headers.items()}


# The loaded rows as a snapshot.


@contextmanager
def _source(path: Path) -> Iterator[str]:
    """Yield the name of a schema with the loaded rows: SQLite attaches it, outside a transaction.

    On PostgreSQL `_fill` creates it.
    """
    if connection.vendor == "postgresql":
        yield f"imported_{uuid.uuid4().hex}"
        return
    # Another connection reads the file now.
    connections[_SCRATCH].close()
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
    for column in tables.stored_fields(model):
        name = tables.names([column.column])
        if contents.is_user(column):
            user = f"(SELECT u.id FROM {people} WHERE l.id = r.{name})"
            selected.append(f"{user} AS {name}")
            if not column.null:
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
        people = [each.column for each in tables.stored_fields(model) if contents.is_user(each)]
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
            table, fields = tables.table(model, source), tables.stored_fields(model)
            names = tables.names(tables.columns_of(model))
            cursor.execute(
                f"CREATE TABLE {table} AS SELECT {names} FROM {tables.table(model)} WITH NO DATA"
            )
            marks = ", ".join(["%s"] * len(fields))
            # A generator, so that only one row is in memory.
            rows: Any = (
                [each.get_db_prep_save(getattr(row, each.attname), connection) for each in fields]
                for row in model._base_manager.using(_SCRATCH).iterator(1)
            )
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
