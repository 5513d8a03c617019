"""A database whose tables are created at once is the same as one that is migrated step by step."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.postgres_server import postgres_database
from tests.processes import environment, manage

# Django gives rows of new models the order of models, or of migrations.
ROWS = (
    "SELECT app, name FROM django_migrations",
    "SELECT app_label, model FROM django_content_type",
    "SELECT codename, name FROM auth_permission",
)
POSTGRES = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity,"
    " character_maximum_length FROM information_schema.columns WHERE table_schema = 'public'"
    # Django's migrations made this table before it had larger ids.
    " AND (table_name, column_name) <> ('auth_group_permissions', 'id')",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
    "SELECT attrelid::regclass::text, attname, attcompression, attstorage FROM pg_attribute"
    " JOIN pg_class ON pg_class.oid = attrelid WHERE relkind = 'r' AND attnum > 0"
    " AND relnamespace = 'public'::regnamespace AND NOT attisdropped",
)


def migrate(data: Path, *arguments: str, **variables: str) -> None:
    subprocess.run(
        [*manage("migrate", "--no-input", "--verbosity", "0"), *arguments],
        env=environment(data, **variables),
        check=True,
    )


@contextmanager
def open_sqlite(data: Path) -> Iterator[sqlite3.Connection]:
    [file] = data.glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as database:
        yield database


def sqlite_schema(data: Path) -> list[object]:
    """Return all tables with the parts of their definitions, the indexes and Django's rows."""
    with open_sqlite(data) as database:
        objects = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        rows = [sorted(database.execute(query)) for query in ROWS]
    parts = ((kind, name, sorted(re.split(r"[\s,()]+", sql or ""))) for kind, name, sql in objects)
    return [sorted(parts), *rows]


def postgres_schema(url: str) -> list[list[str]]:
    with psycopg.connect(url) as database:
        return [sorted(map(str, database.execute(query))) for query in (*POSTGRES, *ROWS)]


@pytest.mark.nightly(reason="runs all migrations one by one")
def test_on_sqlite(tmp_path: Path) -> None:
    at_once, step_by_step = tmp_path / "a", tmp_path / "b"
    migrate(at_once)
    migrate(step_by_step, "contenttypes")
    migrate(step_by_step)
    assert sqlite_schema(at_once) == sqlite_schema(step_by_step)
    with open_sqlite(at_once) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.nightly(reason="runs all migrations one by one")
def test_on_postgres(tmp_path: Path) -> None:
    with postgres_database() as at_once, postgres_database() as step_by_step:
        migrate(tmp_path, DATABASE_URL=at_once)
        migrate(tmp_path, "contenttypes", DATABASE_URL=step_by_step)
        migrate(tmp_path, DATABASE_URL=step_by_step)
        assert postgres_schema(at_once) == postgres_schema(step_by_step)


def test_nothing_is_created_if_a_part_fails(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from django.db.migrations.recorder import MigrationRecorder\n"
        "def fail(self):\n"
        "    raise OSError('stopped')\n"
        "MigrationRecorder.ensure_schema = fail\n"
    )
    data = tmp_path / "data"
    done = subprocess.run(
        manage("migrate"), env=environment(data, PYTHONPATH=str(tmp_path)), capture_output=True
    )
    assert done.returncode != 0 and b"stopped" in done.stderr
    with open_sqlite(data) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
