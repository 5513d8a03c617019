"""The options of database connections."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from connect_sim import databases

_LIMITS = {"lock": 10, "statement": 60, "idle": 4}


def test_postgresql_sends_limits_in_milliseconds() -> None:
    config = databases.postgresql({}, **_LIMITS)
    assert config["options"] == (
        "-c lock_timeout=10000 -c statement_timeout=60000 "
        "-c idle_in_transaction_session_timeout=4000 -c tcp_user_timeout=4000"
    )
    assert config["keepalives"] == 1 and config["connect_timeout"] == 10


def test_options_of_the_url_win() -> None:
    options = {"sslmode": "require", "options": "-c lock_timeout=1", "connect_timeout": "3"}
    config = databases.postgresql(options, **_LIMITS)
    assert (config["sslmode"], config["connect_timeout"]) == ("require", "3")
    # If a parameter is repeated, PostgreSQL uses the later value.
    assert config["options"].startswith("-c lock_timeout=10000 ")
    assert config["options"].endswith(" -c lock_timeout=1")


def test_nothing_is_sent_without_limits() -> None:
    # Some connection poolers refuse the parameter.
    none = dict.fromkeys(_LIMITS, 0)
    assert "options" not in databases.postgresql({}, **none)
    assert databases.postgresql({"options": "-c a=b"}, **none)["options"] == "-c a=b"


def test_sqlite_connection_caches_two_mebibytes_at_most(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db.sqlite3") as connection:
        for statement in databases.SQLITE["init_command"].split(";"):
            connection.execute(statement)
        [size] = connection.execute("PRAGMA cache_size").fetchone()
        [page] = connection.execute("PRAGMA page_size").fetchone()
    assert 1 <= (-size * 1024 if size < 0 else size * page) / 2**20 <= 2
