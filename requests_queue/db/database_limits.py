"""PostgreSQL's statement and lock timeouts, disabled for long-running work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, Error, connections

_OF_STATEMENTS = ("statement_timeout", "lock_timeout")
_OF_TRANSACTIONS = ("idle_in_transaction_session_timeout",)


@contextmanager
def lifted(*, transactions: bool = False, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Disable statement and lock timeouts of this connection.

    With `transactions`, also the timeout of idle transactions: for a command that computes
    between two statements and holds no locks that others need. SQLite has no such timeouts.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        yield
        return
    names = (*_OF_STATEMENTS, *(_OF_TRANSACTIONS if transactions else ()))
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = 0" for name in names))
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("; ".join(f"RESET {name}" for name in names))
        except Error:
            # A new connection has the timeouts.
            connection.close()
