"""Connection options: what a database does when a client of ours stops, hangs or is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Seconds; a host that has vanished is noticed after about half a minute.
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_CONNECT_TIMEOUT = 10
_UNACKNOWLEDGED = 20_000  # milliseconds that sent data may stay unacknowledged

SQLITE: Mapping[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # The page cache stays at SQLite's own 2 MB a connection: the operating system caches the file,
    # and a process has a connection for each of its threads.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def postgresql(
    given: Mapping[str, Any], *, lock: float, statement: float, idle: float
) -> dict[str, Any]:
    """Return the options of a PostgreSQL connection; those of DATABASE_URL (`given`) win.

    `lock`, `statement` and `idle` (in a transaction) are seconds, 0 for no limit. A process that
    is stopped in the middle of a transaction (SIGSTOP, a paused container, a frozen host) holds its
    locks for `idle` seconds: then the server ends the session. `tcp_user_timeout` does the same
    where the server waits for such a client to take a long result.
    """
    limits = {
        "lock_timeout": lock,
        "statement_timeout": statement,
        "idle_in_transaction_session_timeout": idle,
        "tcp_user_timeout": idle,
    }
    options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items() if seconds]
    # Of the same parameter twice the later one counts.
    options += [str(given["options"])] if given.get("options") else []
    ours: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "keepalives": 1,
        **_KEEPALIVES,
        "tcp_user_timeout": _UNACKNOWLEDGED,
    }
    # Without limits nothing is sent: some connection poolers refuse the parameter.
    return {**ours, **given, **({"options": " ".join(options)} if options else {})}
