"""PostgreSQL's limits of statements and locks, lifted for work that takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, Error, connections

_OF_STATEMENTS = ("statement_timeout", "lock_timeout")
_OF_TRANSACTIONS = ("idle_in_transaction_session_timeout",)


@contextmanager
def lifted(*, transactions: bool = False, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Let statements of this connection take, and wait for locks, as long as they need.

    With `transactions`, a transaction may be idle as long, too: for a command that computes much
    between two statements, and that nobody else waits for. SQLite has no such limits.
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
            # The next connection has the limits again.
            connection.close()
