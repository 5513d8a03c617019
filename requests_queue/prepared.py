"""Statements that PostgreSQL parses and plans once per connection, in threads that repeat them.

For a statement that reads a few rows, that takes longer than its execution. Django turns prepared
statements off, because a connection pooler may change the server's session after each transaction:
so may PgBouncer before version 1.21. After an error that says so, this process prepares nothing
more.

A plan is made for tables of one size: for an almost empty one it reads all rows, which would take
minutes when there are many. So after `note_sizes` a statement is planned again for each doubling.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connection, connections

logger = logging.getLogger(__name__)

# SQLSTATE: unknown prepared statement, another one of that name, wrong number of its parameters.
_OF_ANOTHER_SESSION = ("26000", "42P05", "08P01")

_PAGE = 8192  # bytes
# Selected at the beginning of a transaction, it makes PostgreSQL plan each prepared statement once,
# for any values of its parameters. Otherwise it plans those again each time for which a plan that
# knows the values seems cheaper, which takes longer than their execution.
KEEP_PLANS = "set_config('plan_cache_mode', 'force_generic_plan', true)"

_thread = threading.local()
_is_refused = False


def enable() -> None:
    """Prepare the statements of this thread; call in a thread that keeps its connection."""
    _thread.is_enabled, _thread.sizes = True, ""


def is_enabled() -> bool:
    """Return whether statements of this thread are prepared."""
    return getattr(_thread, "is_enabled", False) and not _is_refused


def note_sizes(*sizes: int) -> None:
    """Note the sizes of the tables that the next statements of this thread read, in bytes."""
    _thread.sizes = " ".join(str((size // _PAGE).bit_length()) for size in sizes)


def fetch(statement: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    """Run a statement and return its rows, if it has any.

    PostgreSQL gets the parameters apart from it, and may have to be told their types (`%s::int`).
    Plans are made for any values of them; a connection keeps them for CONN_MAX_AGE seconds at most.
    """
    # Looked up once: Django's proxy does so for each attribute.
    database: Any = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "postgresql":
        return _fetch_postgresql(database, statement, params)
    with database.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall()) if cursor.description else []


def skip_health_check() -> None:
    """Let Django use the connection without its SELECT 1, unless the server has sent anything.

    Call where a connection is used every second. A server that has ended it has sent that.
    """
    if connection.vendor == "postgresql" and connection.connection is not None:
        received = select.poll()
        received.register(connection.connection.fileno(), select.POLLIN)
        connection.health_check_done = not received.poll(0)  # type: ignore[attr-defined]


def _fetch_postgresql(
    database: Any, statement: str, params: Sequence[Any] | Mapping[str, Any]
) -> list[Any]:
    global _is_refused
    import psycopg

    # As Django does before each of its cursors.
    database.close_if_health_check_failed()
    database.ensure_connection()
    session, is_prepared = database.connection, is_enabled()
    # A statement is one plan, and other texts are other statements.
    text = f"{statement}/* {_thread.sizes} */" if is_prepared else statement
    # Only for this statement: psycopg would keep the texts of all others, to count them.
    threshold = session.prepare_threshold
    session.prepare_threshold = 0 if is_prepared else None
    try:
        if database.execute_wrappers or database.queries_logged:
            return _fetch_observed(database, text, params)
        # By the driver: Django's cursor takes a tenth of the time of a claim.
        database.validate_no_broken_transaction()
        with database.wrap_database_errors:
            return _rows(psycopg.Cursor(session), text, params)
    except Error as error:
        if getattr(error.__cause__, "sqlstate", None) in _OF_ANOTHER_SESSION:
            _is_refused = True
            logger.warning(
                "The connection pooler does not support prepared statements: this process makes "
                "none any more, and plans each statement again."
            )
        raise
    finally:
        session.prepare_threshold = threshold


def _fetch_observed(
    database: Any, statement: str, params: Sequence[Any] | Mapping[str, Any]
) -> list[Any]:
    """Run a statement by Django's cursor, which others observe."""
    from django.db.backends.postgresql.base import ServerBindingCursor

    session = database.connection
    factory, session.cursor_factory = session.cursor_factory, ServerBindingCursor
    try:
        with database.cursor() as cursor:
            return _rows(cursor, statement, params)
    finally:
        session.cursor_factory = factory


def _rows(cursor: Any, statement: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    cursor.execute(statement, params)
    # Not `description`, which makes an object of each column.
    return [] if cursor.rownumber is None else list(cursor.fetchall())
