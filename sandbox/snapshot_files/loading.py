"""Load the rows of a file into an empty database, and check them there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from django.apps import apps as present
from django.db import DataError, IntegrityError, connections, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper

from requests_queue.catalog.models import User
from sandbox.snapshot_files import contents, values
from sandbox.snapshot_files.format import Reader, Row, unreadable
from sandbox.snapshot_files.values import Wrong
from sandbox.world import tables

SCRATCH = "scratch"
_BATCH = 500
_MAX_ERROR = 300  # characters of an error of the database
_OPTIONS = {"init_command": "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF"}


@dataclass(slots=True)
class Loaded:
    """What was loaded: users by their ids, rows with new secrets, and headers without a value.

    `users` has the numbers that rows of the scratch database have for them.
    """

    users: dict[str, int] = field(default_factory=dict)
    new_secrets: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)


@contextmanager
def scratch(path: Path) -> Iterator[None]:
    """Create a database with the tables of the world, which this thread reaches as SCRATCH."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    configured = connections.configure_settings(
        {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": _OPTIONS}}
    )
    # Of this thread only: other threads go through all databases of the settings.
    wrapper = DatabaseWrapper(configured["default"], SCRATCH)
    connections[SCRATCH] = wrapper
    try:
        with wrapper.constraint_checks_disabled(), wrapper.schema_editor() as editor:
            for model in tables.world_models():
                if not model._meta.auto_created:
                    editor.create_model(model)
        yield
    finally:
        wrapper.close()
        del connections[SCRATCH]
        path.unlink(missing_ok=True)


def load(reader: Reader, apps: Any, using: str) -> Loaded:
    """Load the rows of a file in one transaction, and check all constraints; raises Invalid.

    `apps` has the models at the file's migrations.
    """
    loaded = Loaded()
    connection = connections[using]
    with connection.constraint_checks_disabled():
        try:
            with transaction.atomic(using):
                for label, columns, rows in reader.tables():
                    _load_table(_model(apps, label), label, columns, rows, using, loaded)
                user = apps.get_model(User._meta.label)
                user._base_manager.using(using).bulk_create(
                    user(id=number, uid=uid, username=uid) for uid, number in loaded.users.items()
                )
                connection.check_constraints()
        except (IntegrityError, DataError, OverflowError) as error:
            raise unreadable(f"The rows contradict each other: {str(error)[:_MAX_ERROR]}") from None
    return loaded


def _model(apps: Any, label: str) -> Any:
    """Return the model of a table; raises Invalid."""
    model = None
    with suppress(LookupError, ValueError):
        model = apps.get_model(label)
    # Its own spelling, since Django ignores case.
    if model is None or model._meta.label != label or not _is_of_world(label):
        raise unreadable(f"A snapshot's file has no table {label[:60]}.")
    return model


def _is_of_world(label: str) -> bool:
    """Return whether a file may have a table: a listed one, or one that exists no more."""
    models = present.get_models(include_auto_created=True)
    return label in contents.TABLES or label not in {model._meta.label for model in models}


def _load_table(
    model: Any, label: str, names: Collection[str], rows: Iterator[Row], using: str, loaded: Loaded
) -> None:
    fields = {each.attname: each for each in contents.columns(model)}
    known = list(fields)
    if wrong := next((str(name) for name in names if name not in known), ""):
        raise unreadable(f"The table {label} has no column {wrong[:60]}.")
    if len(names) > len(known):
        raise unreadable(f"A column of {label} is there twice.")
    if missing := next((name for name in fields if name not in names), ""):
        raise unreadable(f"The column {missing} of {label} is missing.")
    found = (
        model(**_decoded(label, number, fields, dict(zip(names, row, strict=True)), loaded))
        for number, row in enumerate(rows, 1)
    )
    manager = model._base_manager.using(using)
    for batch in in_batches(found):
        manager.bulk_create(batch)


def in_batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield rows in lists, so many at once as a statement may have."""
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _decoded(
    label: str, number: int, fields: dict[str, Any], row: dict[str, Any], loaded: Loaded
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
            decoded[name] = values.decode(column, value)
        except Wrong as error:
            raise unreadable(f"Row {number} of {label}, column {name}: {error}.") from None
    return decoded


def _user(uid: Any, loaded: Loaded) -> int:
    """Return the number of a user."""
    if not isinstance(uid, str) or not 0 < len(uid) <= 32 or not uid.isascii():
        raise Wrong("it is not the id of a user")
    return loaded.users.setdefault(uid, len(loaded.users) + 1)


def _headers(label: str, row: dict[str, Any], headers: Any, loaded: Loaded) -> dict[str, str]:
    """Return the headers that are sent, empty where a file has no value."""
    if not isinstance(headers, dict) or not all(
        value is None or isinstance(value, str) for value in headers.values()
    ):
        raise Wrong("it is not an object of texts")
    if label == "webhooks.Webhook" and (empty := [n for n, v in headers.items() if v is None]):
        loaded.headers[str(row.get("id"))] = empty
    return {name: value or "" for name, value in headers.items()}
