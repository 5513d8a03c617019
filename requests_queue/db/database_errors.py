"""Tell an unavailable database (away, locked, full, read-only) from a defect in the program."""

from __future__ import annotations

from functools import lru_cache

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError

# Seconds after which a client may try again (Retry-After).
RETRY_AFTER = 5
# SQLSTATE.
LOCK_NOT_AVAILABLE = "55P03"
# SQLSTATE classes of OperationalError that concern the rows of one transaction, not the database:
# transaction rollback (deadlock), program limit exceeded, object not in prerequisite state (lock).
_OF_ROWS = ("40", "54", "55")
# The server ended the session of a process that was paused in a transaction; psycopg raises
# InternalError.
_IDLE_TOO_LONG = "25P03"
_LATER = "Try again in a few seconds."
_OPERATOR = "Ask the operator of this server to correct it, and try again."

_SQLITE_ERROR = 1  # its code for errors without one of their own
_POOLER = f"A connection pooler has changed the session of the database. {_LATER}"
_NO_TABLES = f"The database has no tables: start the server, or migrate it. {_OPERATOR}"
# By SQLSTATE, or the beginning of one (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRES = {
    "08": f"The connection to the database was lost. {_LATER}",
    "25006": f"The database is read-only. {_OPERATOR}",
    "25P03": f"The database ended the session of a process that had stopped. {_LATER}",
    "26000": _POOLER,
    "28": f"The database refuses the user or password of DATABASE_URL. {_OPERATOR}",
    "3D000": f"The database that DATABASE_URL names does not exist. {_OPERATOR}",
    "40": f"The database ended the transaction because of another one. {_LATER}",
    "42P01": _NO_TABLES,
    "42P05": _POOLER,
    "53100": f"The disk of the database is full. {_OPERATOR}",
    "53300": f"The database has no free connection. {_LATER}",
    "53": f"The database is short of resources. {_LATER}",
    "55P03": f"A row or table of the database is locked for too long. {_LATER}",
    "57014": f"The database query took too long. {_LATER}",
    "57P": f"The database is stopping or starting. {_LATER}",
    "58": f"The database cannot read or write its files. {_OPERATOR}",
    "XX001": f"The database is damaged. {_OPERATOR}",
    "XX002": f"The database is damaged. {_OPERATOR}",
}


def unavailable(error: BaseException) -> str:
    """Return why the database cannot be used and what to do; empty for any other error."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return ""
    cause = error.__cause__ or error
    if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
        if code == _SQLITE_ERROR and str(cause).startswith("no such table"):
            return _NO_TABLES
        return _of_sqlite().get(code & 0xFF, "")
    state: str | None = getattr(cause, "sqlstate", None)
    if state is None:
        # No response of a server: the connection failed or was lost.
        is_lost = isinstance(error, OperationalError | InterfaceError)
        return f"The database cannot be reached. {_LATER}" if is_lost else ""
    return next((said for start, said in _POSTGRES.items() if state.startswith(start)), "")


@lru_cache(maxsize=1)
def _of_sqlite() -> dict[int, str]:
    """Return sentences by primary result code (https://www.sqlite.org/rescode.html)."""
    # Here, since it takes 1 MiB of a process that uses PostgreSQL.
    import sqlite3

    return {
        sqlite3.SQLITE_PERM: f"The database file cannot be opened. {_OPERATOR}",
        sqlite3.SQLITE_BUSY: f"The database is locked by another process. {_LATER}",
        sqlite3.SQLITE_LOCKED: f"The database is locked by another process. {_LATER}",
        sqlite3.SQLITE_NOMEM: f"The database has no memory left. {_LATER}",
        sqlite3.SQLITE_READONLY: f"The database file is read-only, or was moved. {_OPERATOR}",
        sqlite3.SQLITE_INTERRUPT: f"The database query was interrupted. {_LATER}",
        sqlite3.SQLITE_IOERR: f"The database file cannot be read or written. {_OPERATOR}",
        sqlite3.SQLITE_CORRUPT: f"The database file is damaged. {_OPERATOR}",
        sqlite3.SQLITE_FULL: f"The disk of the database is full. {_OPERATOR}",
        sqlite3.SQLITE_CANTOPEN: f"The database file cannot be opened. {_OPERATOR}",
        sqlite3.SQLITE_PROTOCOL: f"The database is locked by another process. {_LATER}",
        sqlite3.SQLITE_NOTADB: f"The database file is damaged or is not SQLite. {_OPERATOR}",
    }


def summary(error: BaseException) -> str:
    """Return the error as one line for a log: its type and the first line of its text."""
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}"


def is_unavailable(error: Exception) -> bool:
    """Whether the error says that the database is down, locked, full or out of resources."""
    if sqlstate(error) == _IDLE_TOO_LONG:
        return True
    is_one = isinstance(error, OperationalError | InterfaceError)
    return is_one and not sqlstate(error).startswith(_OF_ROWS)


def sqlstate(error: Exception) -> str:
    """Return PostgreSQL's code of an error, or an empty text."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def is_of_content(error: Exception) -> bool:
    """Whether trying again is useless: an error of a row's data, or of the program."""
    if isinstance(error, DataError | IntegrityError) or sqlstate(error).startswith("54"):
        return True
    return not isinstance(error, DatabaseError | InterfaceError | MemoryError)
