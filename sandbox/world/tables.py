"""The world: the tables that a reset or restore replaces, and how one transaction does it.

A snapshot is a schema of the database (on SQLite an attached file) with a copy of each table of the
world. `copy_out` fills it; `replace` deletes the rows of the world and inserts those of a snapshot.
Both run in a thread of their own, whose connection enforces no foreign keys on SQLite and waits
LOCK_WAIT seconds for other transactions at most.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from django.apps import apps
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import connection, models, transaction
from django.dispatch import Signal

from requests_queue.catalog.models import ApiToken, User
from requests_queue.db import background_work, sql
from webhooks.delivery import claim

T = TypeVar("T")

LOCK_WAIT = 2.0  # seconds for which a replacement waits for other transactions
_ROWS_WAIT = 60.0  # seconds of one statement that copies rows

# Apps whose models belong to the world, unless they are listed below.
_APPS = ("requests_queue", "webhooks", "portal", "extensions")
# Tables that belong to the world, of other apps.
_MORE = (
    "sandbox.ApiCall",
    "sandbox.ApiCallObject",
    "sandbox.Reading",
    "admin.LogEntry",
    "auth.Group",
)
# Emptied by a reset or restore, and not part of a snapshot: state of processes and of callers.
TRANSIENT = (
    "sandbox.HeldResponse",
    "sandbox.FaultOrdinal",
    "sandbox.Fault",
    "sandbox.Hold",
    "requests_queue.FailedJob",
    "requests_queue.Clock",
)
KEPT = (
    "sandbox.TimelineEntry",
    "sandbox.UsedId",
    "sandbox.ProcessActivity",
    "sandbox.Lease",
    "sandbox.CheckRun",
    "requests_queue.Heartbeat",
    "requests_queue.SignInTries",
    "catalog.ApiToken",
    "catalog.AuditEntry",
    "sessions.Session",
    "auth.Permission",
    "contenttypes.ContentType",
)
# Written row by row: some users and columns are kept.
USERS = "catalog.User"
_KEPT_COLUMNS = ("password", "last_login")

# Sent in the transaction that replaces all data, before it does: receivers return what the entry of
# the reset in the timeline has to say, `{name: value}`.
world_replacing = Signal()

# Sent when all data has been replaced, before requests and jobs continue: clear what memory has of
# rows.
world_replaced = Signal()


class Unclassified(Exception):
    """A model belongs neither to the world nor to the kept tables."""


@cache
def _models() -> dict[str, list[type[models.Model]]]:
    """Return the models by `world`, `transient`, `users` and `kept`; raises Unclassified."""
    groups: dict[str, list[type[models.Model]]] = {}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            groups.setdefault(_group(model), []).append(model)
    return groups


def _group(model: type[models.Model]) -> str:
    label = model._meta.label
    if label == USERS:
        return "users"
    for group, labels in (("transient", TRANSIENT), ("kept", KEPT), ("world", _MORE)):
        if label in labels:
            return group
    if apps.get_app_config(model._meta.app_label).name.startswith(_APPS):
        return "world"
    owner: Any = model._meta.auto_created
    if owner and owner._meta.label in _MORE:
        return "world"
    raise Unclassified(
        f"{label}: add it to the tables that sandbox.world.tables replaces or keeps."
    )


def world_models() -> list[type[models.Model]]:
    """Return the models whose tables are copied, users included, in lock order."""
    groups = _models()
    return sorted([*groups["world"], *groups["users"]], key=_lock_order)


def kept_models() -> list[type[models.Model]]:
    """Return the models whose tables are kept."""
    return _models()["kept"]


def _lock_order(model: type[models.Model]) -> tuple[int, str]:
    """Return the place of a table: queues, deliveries, webhooks, then the others."""
    table, app = model._meta.db_table, model._meta.app_label
    last = {"webhooks_delivery": 1, "webhooks_webhook": 2}
    return last.get(table, {"webhooks": 3, "sandbox": 4}.get(app, 0)), table


def stored_fields(model: type[models.Model]) -> list[Any]:
    """Return the fields of a table's columns, except of those that the database computes."""
    return [field for field in model._meta.local_concrete_fields if not field.generated]


def columns_of(model: type[models.Model]) -> list[str]:
    """Return the names of the columns of the stored fields."""
    return [field.column for field in stored_fields(model)]


def table(model: type[models.Model], schema: str = "") -> str:
    """Return a table's quoted name, in a schema."""
    name = connection.ops.quote_name(model._meta.db_table)
    return f"{connection.ops.quote_name(schema)}.{name}" if schema else name


def key_of(model: type[models.Model]) -> str:
    """Return the quoted name of a table's primary key."""
    return names([str(model._meta.pk.column)])


def names(columns: Sequence[str]) -> str:
    """Return the quoted names of columns as a list of SQL."""
    return ", ".join(map(connection.ops.quote_name, columns))


@cache
def fingerprint() -> str:
    """Return a hash of the tables of the world and their columns, which differ by version."""
    tables = [
        (
            model._meta.db_table,
            [
                (field.column, field.db_type(connection))
                for field in sorted(model._meta.local_concrete_fields, key=attrgetter("attname"))
            ],
        )
        for model in world_models()
    ]
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:16]


def in_own_thread(function: Callable[[], T]) -> T:
    """Run a function in a thread, whose connection is for copies of the world."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    # Outside a transaction, where SQLite would ignore it.
                    cursor.execute("PRAGMA foreign_keys = OFF")
                connection.connection.limit_waits(LOCK_WAIT)
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)
        finally:
            connection.close()

    threading.Thread(target=run, name="world", daemon=True).start()
    return result.result()


@contextmanager
def locked() -> Iterator[None]:
    """Open a transaction that holds all tables of the world for writing.

    Raises OperationalError after LOCK_WAIT seconds. On SQLite each transaction locks the file.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # One limit for all locks together; `lock_timeout` would apply to each.
                cursor.execute(f"SET LOCAL statement_timeout = {round(LOCK_WAIT * 1000)}")
                background_work.keep_out()
                claim.lock()
                tables = [*world_models(), *_models()["transient"]]
                locks = ", ".join(table(model) for model in tables)
                cursor.execute(f"LOCK TABLE {locks} IN EXCLUSIVE MODE")
                cursor.execute(f"SET LOCAL statement_timeout = {round(_ROWS_WAIT * 1000)}")
        yield


def copy_out(schema: str) -> None:
    """Copy the tables of the world into an empty schema; call in a transaction."""
    with connection.cursor() as cursor:
        for model in world_models():
            columns = names(columns_of(model))
            cursor.execute(
                f"CREATE TABLE {table(model, schema)} AS SELECT {columns} FROM {table(model)}"
            )


def replace(schema: str | None) -> None:
    """Replace the rows of the world by those of a snapshot, or by none; call in `locked`.

    Ids that disappear are never used again. Keys are kept without their context: another account
    may have its id in a snapshot, or none.
    """
    _remember_ids(schema)
    ApiToken.objects.exclude(context="").update(context="")
    with connection.cursor() as cursor:
        for model in (*_models()["world"], *_models()["transient"]):
            # Without a condition: SQLite then truncates the table.
            cursor.execute(f"DELETE FROM {table(model)}")
        if schema is None:
            _delete_users(cursor, f"NOT {_IS_KEPT}")
            return
        for model in _models()["world"]:
            columns = names(columns_of(model))
            cursor.execute(
                f"INSERT INTO {table(model)} ({columns}) "
                f"SELECT {columns} FROM {table(model, schema)}"
            )
        _replace_users(cursor, schema)
        if connection.vendor == "postgresql":
            _skip_numbers(cursor)


def _skip_numbers(cursor: Any) -> None:
    """Let sequences go on after the rows of a snapshot, which may be of another sandbox."""
    keys = [
        (model._meta.db_table, model._meta.pk.column)
        for model in _models()["world"]
        if isinstance(model._meta.pk, models.AutoField)
    ]
    next_numbers = (
        f"setval(pg_get_serial_sequence('{name}', '{key}'), GREATEST("
        f"(SELECT MAX({key}) FROM {name}), "
        f"pg_sequence_last_value(pg_get_serial_sequence('{name}', '{key}')::regclass)))"
        for name, key in keys
    )
    cursor.execute(f"SELECT {', '.join(next_numbers)}")


# Users. Those who have a password, or an API key, are kept: people and programs sign in by them.

_IS_KEPT = f"""(
    (password <> '' AND password NOT LIKE '{UNUSABLE_PASSWORD_PREFIX}%%')
    OR EXISTS (SELECT 1 FROM catalog_apitoken t WHERE t.user_id = catalog_user.id)
)"""


def delete_users_without_account() -> None:
    """Delete the kept users whose account has not come back."""
    with connection.cursor() as cursor:
        _delete_users(
            cursor, "account_id IS NOT NULL AND account_id NOT IN (SELECT id FROM catalog_account)"
        )


def _replace_users(cursor: Any, schema: str) -> None:
    there = table(User, schema)
    _delete_users(
        cursor,
        f"""
        id NOT IN (SELECT id FROM {there}) AND (
            NOT {_IS_KEPT}
            OR account_id IS NOT NULL AND account_id NOT IN (SELECT id FROM catalog_account)
            OR username IN (SELECT username FROM {there}) OR uid IN (SELECT uid FROM {there})
        )
        """,
    )
    # Two users may have swapped their unique names since.
    cursor.execute(
        f"UPDATE catalog_user SET username = '~' || id, uid = '~' || id "
        f"WHERE id IN (SELECT id FROM {there})"
    )
    columns = [name for name in columns_of(User) if name not in ("id", *_KEPT_COLUMNS)]
    assigned = ", ".join(f"{names([name])} = s.{names([name])}" for name in columns)
    cursor.execute(
        f"UPDATE catalog_user SET {assigned} FROM {there} s WHERE s.id = catalog_user.id"
    )
    every = names(columns_of(User))
    cursor.execute(
        f"INSERT INTO catalog_user ({every}) SELECT {every} FROM {there} "
        f"WHERE id NOT IN (SELECT id FROM catalog_user)"
    )


def _delete_users(cursor: Any, condition: str) -> None:
    """Delete the users that a condition selects, with the kept rows that refer to them."""
    cursor.execute(f"SELECT id FROM catalog_user WHERE {condition}")
    ids = [pk for (pk,) in cursor.fetchall()]
    if not ids:
        return
    for model in kept_models():
        for field in model._meta.local_concrete_fields:
            if field.related_model is User:
                model._base_manager.filter(**{f"{field.name}__in": ids}).delete()
    marks = sql.placeholders(ids)
    _insert_used(cursor, f"SELECT uid FROM catalog_user WHERE id IN ({marks})", ids)
    cursor.execute(f"DELETE FROM catalog_user WHERE id IN ({marks})", ids)


# Ids.


def is_used(pk: str) -> bool:
    """Return whether a reset or restore has removed an object with this id."""
    return sql.has_row("sandbox_usedid", id=pk)


def _remember_ids(schema: str | None) -> None:
    """Store the ids of the world that the snapshot lacks."""
    gone = []
    for model in _models()["world"]:
        key = model._meta.pk
        if key.column == "id" and isinstance(key, models.CharField):
            select = f"SELECT id FROM {table(model)}"
            if schema is not None:
                select += f" EXCEPT SELECT id FROM {table(model, schema)}"
            gone.append(f"SELECT id FROM ({select}) s")
    with connection.cursor() as cursor:
        _insert_used(cursor, " UNION ALL ".join(gone))


def _insert_used(cursor: Any, select: str, params: Sequence[Any] = ()) -> None:
    if connection.vendor == "sqlite":
        cursor.execute(f"INSERT OR IGNORE INTO sandbox_usedid (id) {select}", params)
    else:
        cursor.execute(f"INSERT INTO sandbox_usedid (id) {select} ON CONFLICT DO NOTHING", params)
