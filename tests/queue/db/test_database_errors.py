"""Errors of a database that mean it is unavailable."""

from __future__ import annotations

import pytest
from django.db import DataError, IntegrityError, InternalError, OperationalError, ProgrammingError

from requests_queue.db import database_errors


def of_postgres(kind: type[Exception], sqlstate: str | None) -> Exception:
    """Return an error as Django raises it, with psycopg's own as its cause."""
    error = kind("said by the server")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": sqlstate})()
    return error


@pytest.mark.parametrize(
    ("kind", "sqlstate"),
    [
        (OperationalError, None),
        (OperationalError, "57P01"),
        (OperationalError, "53300"),
        (OperationalError, "53100"),
        (OperationalError, "55P03"),
        # The server ended the session of a process that was stopped in a transaction.
        (InternalError, "25P03"),
    ],
)
def test_outage_has_a_message(kind: type[Exception], sqlstate: str | None) -> None:
    message = database_errors.unavailable(of_postgres(kind, sqlstate))
    assert message.startswith(("The ", "A "))
    assert "ry again" in message


@pytest.mark.parametrize(
    "error",
    [
        of_postgres(ProgrammingError, "42601"),
        of_postgres(DataError, "22001"),
        of_postgres(IntegrityError, "23505"),
        of_postgres(InternalError, "25P02"),
        ValueError("not of a database"),
    ],
)
def test_other_error_has_no_message(error: Exception) -> None:
    assert database_errors.unavailable(error) == ""
