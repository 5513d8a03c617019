"""Connection options of SQLite and PostgreSQL: timeouts, keepalives and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Seconds; an unreachable host is detected after about 30 s.
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_CONNECT_TIMEOUT = 10
_UNACKNOWLEDGED = 20_000  # milliseconds, of sent data

SQLITE: Mapping[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # The page cache has SQLite's default of 2 MB per connection: the operating system caches the
    # file, and each thread has a connection.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def postgresql(
    url_options: Mapping[str, Any], *, lock: float, statement: float, idle: float
) -> dict[str, Any]:
    """Return the options of a PostgreSQL connection; those of DATABASE_URL (`url_options`) win.

    `lock`, `statement` and `idle` (in a transaction) are seconds, 0 for no limit. A process that
    is suspended in a transaction (SIGSTOP, a paused container, a frozen host) holds its locks for
    `idle` seconds; then the server ends the session. `tcp_user_timeout` does the same while the
    server sends a long result to such a client.
    """
    limits = {
        "lock_timeout": lock,
        "statement_timeout": statement,
        "idle_in_transaction_session_timeout": idle,
        "tcp_user_timeout": idle,
    }
    options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items() if seconds]
    # PostgreSQL uses the last value of a parameter.
    options += [str(url_options["options"])] if url_options.get("options") else []
    defaults: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "keepalives": 1,
        **_KEEPALIVES,
        "tcp_user_timeout": _UNACKNOWLEDGED,
    }
    # Omitted without limits: some connection poolers refuse the parameter.
    return {**defaults, **url_options, **({"options": " ".join(options)} if options else {})}
