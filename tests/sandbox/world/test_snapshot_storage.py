"""Snapshots in files of SQLite: damaged, on a full disk, and who may read them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from sandbox.world import snapshots
from tests.api import Caller
from tests.sandbox import worlds
from tests.sandbox.worlds import Rows, ok, purchase, reset

pytestmark = pytest.mark.django_db(transaction=True)


def test_damaged_file(changed: Rows, vendor: Caller, settings: Any) -> None:
    path = settings.SIM_DATA_DIR / "snapshots" / "a.sqlite3"
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 8192):
        content[start : start + 2000] = os.urandom(2000)
    path.write_bytes(content)
    for damaged in (bytes(content), b"no database at all" * 100, b""):
        path.write_bytes(damaged)
        before = worlds.contents()
        worlds.check_failure(before, vendor, "/sandbox/snapshots/a/restore", 409, "SNP_003")
    assert {each["name"]: each["usable"] for each in ok(vendor.get("/sandbox/snapshots"))} == {
        "a": False,
        "seed": True,
    }


def test_full_disk(changed: Rows, vendor: Caller, distributor: Caller) -> None:
    # The snapshot needs more pages than there are.
    for _ in range(20):
        purchase(distributor)
    ok(vendor.post("/sandbox/snapshots", {"name": "big", "patience": 0}))
    reset(vendor, patience=0)
    before = worlds.contents()
    connections.close_all()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")

    def limit(connection: Any, **kwargs: Any) -> None:
        if threading.current_thread().name == "world":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA page_count")
                [count] = cursor.fetchone()
                cursor.execute(f"PRAGMA max_page_count = {count}")

    connection_created.connect(limit)
    try:
        worlds.check_failure(before, vendor, "/sandbox/snapshots/big/restore", 503, "SYS_503")
    finally:
        connection_created.disconnect(limit)


def test_files_are_readable_by_their_owner_only(saved: Rows, vendor: Caller, settings: Any) -> None:
    folder = Path(settings.SIM_DATA_DIR) / "snapshots"
    old = [folder / "killed.draft", folder / "of-a-migration.draft"]
    old[0].touch()
    old[1].mkdir()
    (old[1] / "db.sqlite3").touch()
    for path in old:
        os.utime(path, (1, 1))
    ok(vendor.post("/sandbox/snapshots", {"name": "a"}))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "a.sqlite3": 0o600,
        "seed.sqlite3": 0o600,
    }


def test_unwritable_folder_is_an_error(saved: Rows, vendor: Caller, settings: Any) -> None:
    settings.SIM_DATA_DIR = Path(settings.SIM_DATA_DIR) / "file"
    settings.SIM_DATA_DIR.touch()
    response = vendor.post("/sandbox/snapshots", {"name": "a"})
    assert (response.status, response.json["error_code"]) == (503, "SYS_503")
    assert snapshots.all_snapshots() == []
