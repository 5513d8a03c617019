"""503 and one log line for an SQLite file that is locked, full, read-only, missing or damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.signed_in import root  # noqa: F401  (fixtures)
from tests.unavailable import (  # noqa: F401  (fixtures)
    Callers,
    all_unavailable,
    all_well,
    callers,
    is_unavailable,
)

pytestmark = pytest.mark.django_db(transaction=True)


def use_new_connection() -> None:
    """Let no request close the connection because of its age, and with it its limits."""
    connection.close()


@contextmanager
def locked() -> Iterator[None]:
    """Hold the write lock of the database, as another process would."""
    use_new_connection()
    connection.cursor().execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(connection.settings_dict["NAME"])
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()
        connection.close()


@contextmanager
def full() -> Iterator[None]:
    """Limit the database to its current pages."""
    use_new_connection()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA page_count")
        [count] = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {count}")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def read_only() -> Iterator[None]:
    use_new_connection()
    connection.cursor().execute("PRAGMA query_only = 1")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Move the database file away with its -wal and -shm; yield its path."""
    connection.close()
    file = Path(connection.settings_dict["NAME"])
    for each in file.parent.glob(f"{file.name}*"):
        shutil.move(each, folder / each.name)
    try:
        yield file
    finally:
        connection.close()
        for each in file.parent.glob(f"{file.name}*"):
            each.unlink()
        for each in folder.glob(f"{file.name}*"):
            shutil.move(each, file.parent / each.name)


def new_webhook(callers: Callers, n: int = 0) -> Any:
    body = {
        "label": f"Hook {n}",
        "product_id": "PRD-111-111-111",
        "object_class": "fulfillment_request",
        "external_url": "http://127.0.0.1:9/",
        "jwt_secret": "x" * 40,
        "data": {"text": "x" * 20_000},
    }
    return callers.api.post(
        "/public/v1/notifications/webhooks", json.dumps(body), "application/json"
    )


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (locked, "The database is locked by another process."),
        (full, "The disk of the database is full."),
        (read_only, "The database file is read-only"),
    ],
)
def test_sqlite_that_is_not_writable(
    callers: Callers, caplog: pytest.LogCaptureFixture, state: Any, sentence: str
) -> None:
    path = "/public/v1/notifications/webhooks"
    with state():
        responses = (new_webhook(callers, n) for n in range(50))
        refused = next(response for response in responses if response.status_code != 201)
        assert sentence in is_unavailable(refused, path, caplog)
        # A page that writes: a draft of the wizard.
        step = {"label": "x", "go": "next", "description": "x" * 200_000}
        refused = callers.browser.post("/webhooks/new/", step)
        assert sentence in is_unavailable(refused, "/webhooks/new/", caplog)
    assert new_webhook(callers, 99).status_code == 201
    all_well(callers)


def test_missing_database_file(
    callers: Callers, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with replaced(tmp_path):
        all_unavailable(callers, caplog, "The database has no tables")
    all_well(callers)


def test_damaged_database_file(
    callers: Callers, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with replaced(tmp_path) as file:
        file.write_bytes(b"not a database " * 1000)
        all_unavailable(callers, caplog, "The database file is damaged")
    all_well(callers)


def test_programming_error_is_500(
    callers: Callers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        connection.cursor().execute("SELECT nothing_of_the_kind FROM webhooks_webhook")

    monkeypatch.setattr("webhooks.api.Webhooks.list", broken)
    response = callers.get("/public/v1/notifications/webhooks")
    assert (response.status_code, response.json()["error_code"]) == (500, "SYS_001")
    assert [record for record in caplog.records if record.exc_info]
