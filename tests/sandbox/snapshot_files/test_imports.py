"""Imports that are refused or interrupted: a sentence, and nothing has changed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from requests_queue.catalog.models import Account
from requests_queue.errors import Refused
from sandbox.snapshot_files import exporting, format, importing
from sandbox.world import snapshot_storage, snapshots
from tests import api
from tests.api import Caller
from tests.processes import ROOT, environment
from tests.sandbox import worlds
from tests.sandbox.snapshot_files import files
from tests.sandbox.snapshot_files.files import Lines, place
from tests.sandbox.timeline.test_timeline import database_url
from tests.sandbox.worlds import Rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def content(changed: Rows, vendor: Caller) -> bytes:
    """The file of the snapshot `a`."""
    return files.exported(vendor, "a")


def drafts() -> list[str]:
    folder = Path(settings.SIM_DATA_DIR) / snapshot_storage.FOLDER
    return sorted(path.name for path in folder.glob(f"*{snapshot_storage.DRAFT}"))


def schemas() -> int:
    """Return the number of schemas, of which PostgreSQL has one for each snapshot."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            return 0
        cursor.execute("SELECT COUNT(*) FROM pg_namespace")
        count: int = cursor.fetchone()[0]
    return count


def check_refused(vendor: Caller, content: bytes, status: int, text: str, **fields: str) -> None:
    """Check that an import is refused with one sentence, and that nothing is left of it."""
    before, count = [each.name for each in snapshots.all_snapshots()], schemas()
    response = files.send(vendor, content, **fields)
    assert response.status == status, response
    [error] = response.json["errors"]
    assert text in error and "\n" not in error and len(error) < 500
    assert [each.name for each in snapshots.all_snapshots()] == before
    assert (schemas(), drafts()) == (count, [])


def rename(lines: Lines, new: str) -> None:
    """Give the table of hubs another name."""
    start = place(lines, "catalog.Hub")
    tables = lines[0]["tables"]
    count = tables["catalog.Hub"]
    lines[0]["tables"] = {new if name == "catalog.Hub" else name: tables[name] for name in tables}
    lines[start]["table"] = lines[start + count + 1]["end"] = new


def set_columns(lines: Lines, columns: list[str]) -> None:
    start = place(lines, "catalog.Hub")
    width = len(columns)
    lines[start]["columns"] = columns
    lines[start + 1] = (lines[start + 1] * 2)[:width]


def set_value(table: str, name: str, value: Any) -> Callable[[Lines], None]:
    return lambda lines: files.column(lines, table, name, value)


def repeat(table: str) -> Callable[[Lines], None]:
    def change(lines: Lines) -> None:
        start = place(lines, table)
        lines.insert(start + 1, lines[start + 1])

    return change


def delete_rows(lines: Lines, table: str) -> None:
    start = place(lines, table)
    del lines[start + 1 : start + 1 + lines[0]["tables"][table]]


def delete_table(lines: Lines, table: str) -> None:
    delete_rows(lines, table)
    start = place(lines, table)
    del lines[start : start + 2], lines[0]["tables"][table]


HUB, OLDER = "catalog.Hub", ["0014_no_responds_index"]
HOSTILE: list[tuple[Callable[[Lines], Any], str]] = [
    (lambda lines: rename(lines, "catalog.ApiToken"), "no table catalog.ApiToken"),
    (lambda lines: rename(lines, "catalog.User"), "no table catalog.User"),
    (lambda lines: rename(lines, "sessions.Session"), "no table sessions.Session"),
    (lambda lines: rename(lines, "catalog.hub"), "no table catalog.hub"),
    (lambda lines: rename(lines, "../../etc/passwd"), "no table ../../etc/passwd"),
    (lambda lines: rename(lines, "x" * 5000), "no table xxx"),
    (lambda lines: set_columns(lines, ["id", "drop table"]), "has no column drop table"),
    (lambda lines: set_columns(lines, ["id"]), "is missing"),
    (lambda lines: set_columns(lines, [{}]), "has no column {}"),
    (set_value(HUB, "name", 7), "Row 1 of catalog.Hub, column name: it has the wrong type."),
    (set_value(HUB, "name", None), "it may not be null"),
    (set_value(HUB, "id", "../x"), "it is not an id"),
    (set_value(HUB, "company_id", "VA-1-1"), "The rows contradict each other"),
    (set_value("webhooks.Webhook", "headers", {"X": 1}), "not an object of texts"),
    (set_value("webhooks.Webhook", "jwt_secret", 1), "it has the wrong type"),
    (set_value("webhooks.Webhook", "created_by_id", 1), "not the id of a user"),
    (set_value("webhooks.Webhook", "type", "other"), "not one of the column's values"),
    (set_value("webhooks.Webhook", "events", 2**64), "Row 1 of webhooks.Webhook"),
    (set_value("catalog.Asset", "items", {}), "it is not a list"),
    (set_value("catalog.Asset", "params", [7]), "it is not a list of objects with ids"),
    (repeat(HUB), "The rows contradict each other"),
    (repeat("webhooks.Delivery"), "The rows contradict each other"),
    (lambda lines: delete_rows(lines, "catalog.Account"), "has no account"),
    (lambda lines: delete_table(lines, "catalog.Account"), "lacks tables"),
    (lambda lines: delete_table(lines, "sandbox.ApiCallObject"), "lacks tables"),
    (lambda lines: [lines[0].update(tables={}), lines.__delitem__(slice(1, None))], "lacks tables"),
    (lambda lines: [
        lines[0]["migrations"].update(webhooks=OLDER), delete_table(lines, "catalog.Account"),
    ], "has no account"),
    (lambda lines: lines[0]["migrations"].update(webhooks=["9999_future"]), "newer version"),
    (lambda lines: lines[0]["migrations"].update(other=["0001"]), "newer version"),
    (lambda lines: lines[0].update(version=2), "newer version"),
]  # fmt: skip


def test_hostile_file_is_refused_with_a_sentence(content: bytes, vendor: Caller) -> None:
    before = worlds.contents()
    for change, text in HOSTILE:
        check_refused(vendor, files.changed(content, change), 400, text, name="b")
    check_refused(vendor, content[:-100], 400, "damaged", name="b")
    check_refused(vendor, b"", 400, "", name="b")
    # Files of which the server keeps parts on disk.
    check_refused(vendor, os.urandom(3_000_000), 400, "not a snapshot", name="b")
    assert worlds.contents() == before


def test_limits(content: bytes, vendor: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    too_large = files.exported(vendor, "a")
    for limit in ("MAX_PACKED", "MAX_UNPACKED", "MAX_ROWS"):
        with monkeypatch.context() as patched:
            patched.setattr(format, limit, 100)
            check_refused(vendor, too_large, 413, "file: The file", name="b")
            response = vendor.get("/sandbox/snapshots/a/file")
            assert (response.status, response.json["error_code"]) == (409, "SNP_004")


def test_snapshot_without_accounts_is_not_exported(no_snapshots: None, vendor: Caller) -> None:
    Account.objects.all().delete()
    snapshots.save("a", patience=0)
    with pytest.raises(Refused, match="it has no account") as refused:
        exporting.export("a")
    assert (refused.value.status, refused.value.code) == (409, "SNP_004")


def test_names(content: bytes, vendor: Caller) -> None:
    check_refused(vendor, content, 409, "exists already")
    check_refused(vendor, content, 409, "exists already", name="a")
    check_refused(vendor, content, 400, "reserved", name="seed")
    check_refused(vendor, content, 400, "name: A name has up to 64 characters", name="../x")
    check_refused(vendor, content, 400, "replace: ", name="b", replace="perhaps")
    seed = files.exported(vendor, "seed")
    check_refused(vendor, seed, 400, "name: The name seed is reserved.")
    assert files.imported(vendor, seed, name="a", replace="true")["snapshot"]["name"] == "a"
    assert files.exported(vendor, "a") != content
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    api.refused(
        vendor.post("/sandbox/snapshot-files", b"--x--", **form),
        400,
        "file: No file was submitted.",
    )
    assert vendor.get("/sandbox/snapshots/none/file").status == 404
    assert vendor.get("/sandbox/snapshots/a/file?secrets=yes").status == 400
    for path in ("/sandbox/snapshots/a/file", "/sandbox/snapshot-files"):
        assert Caller(None).get(path).status == 401
        assert Caller(None).post(path).status == 401


@pytest.mark.parametrize(("replace", "other"), [(False, "SNP_001"), (True, "b")])
def test_concurrent_imports_of_a_name(
    replace: bool,
    other: str,
    content: bytes,
    vendor: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, both_are_loaded, count = importing._load, threading.Barrier(2), schemas()

    def load_both(*arguments: Any) -> Any:
        loaded = load(*arguments)
        both_are_loaded.wait(60)
        return loaded

    def import_one(number: int) -> str:
        try:
            return importing.import_file(io.BytesIO(content), "b", replace=replace).snapshot.name
        except Refused as refused:
            return refused.code

    monkeypatch.setattr(importing, "_load", load_both)
    with ThreadPoolExecutor(2) as threads:
        one, last = sorted(threads.map(import_one, range(2)))
    # A transaction of PostgreSQL doesn't see what has been committed since it began.
    assert last == "b" and one in (other, *(["SNP_005"] if connection.vendor != "sqlite" else []))
    assert (drafts(), schemas()) == ([], count + (connection.vendor == "postgresql"))
    [lines, imported] = [files.lines(files.exported(vendor, name)) for name in ("a", "b")]
    assert imported[0] == {**lines[0], "name": "b"}


def test_unwritable_folder_is_an_error(content: bytes, vendor: Caller, settings: Any) -> None:
    settings.SIM_DATA_DIR = Path(settings.SIM_DATA_DIR) / "file"
    settings.SIM_DATA_DIR.touch()
    response = files.send(vendor, content, name="b")
    assert (response.status, response.json["error_code"]) == (503, "SYS_503")


def test_failed_migration_of_an_older_file_is_a_sentence(
    content: bytes, vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = files.changed(content, lambda lines: lines[0]["migrations"].update(webhooks=OLDER))
    monkeypatch.setattr(importing, "_PROGRAM", "raise SystemExit('It is broken.')")
    check_refused(vendor, older, 400, "cannot be migrated to this version: It is broken.", name="b")
    # Its database is where the next start deletes it if both processes are killed.
    program = (
        "import os, pathlib, signal\n"
        "folder = pathlib.Path(os.environ['SIM_DATA_DIR'])\n"
        "(folder / 'db.sqlite3').write_text('secret')\n"
        "END"
    )
    folder = Path(settings.SIM_DATA_DIR) / snapshot_storage.FOLDER
    ended = "raise SystemExit(f'{folder.parent} {folder.name[-6:]}')"
    monkeypatch.setattr(importing, "_PROGRAM", program.replace("END", ended))
    check_refused(vendor, older, 400, f"{folder} {snapshot_storage.DRAFT}", name="b")
    monkeypatch.setattr(importing, "_PROGRAM", program.replace("END", "signal.pause()"))
    monkeypatch.setattr(importing, "_TIMEOUT", 0.5)
    check_refused(vendor, older, 400, "cannot be migrated within 0.5 s", name="b")


# The last thing before the commit.
_COMMIT = "snapshot_storage._meta = lambda snapshot"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    "point",
    [
        # Rows are loaded; they are all copied; the snapshot is complete, but has no name.
        "importing._load_table = lambda *args: KILL",
        "importing._present_rows = lambda *args: KILL",
        "snapshot_storage.os.fsync = lambda file: KILL",
    ],
)
def test_killed_process_leaves_nothing(
    point: str, content: bytes, changed: Rows, vendor: Caller, settings: Any
) -> None:
    if connection.vendor == "postgresql":
        point = point.replace("snapshot_storage.os.fsync = lambda file", _COMMIT)
    path = Path(settings.SIM_DATA_DIR) / "file"
    path.write_bytes(content)
    before, count = worlds.contents(), schemas()
    script = (
        "import django, os, signal, sys; django.setup()\n"
        "from sandbox.snapshot_files import importing\n"
        "from sandbox.world import snapshot_storage\n"
        f"{point.replace('KILL', KILL)}\n"
        f"importing.import_file(open({str(path)!r}, 'rb'), 'b')\n"
    )
    env = environment(
        settings.SIM_DATA_DIR,
        DATABASE_URL=database_url(),
        DJANGO_SETTINGS_MODULE="connect_sim.settings",
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, timeout=120)
    assert result.returncode == -signal.SIGKILL
    assert drafts()
    assert (worlds.contents(), schemas()) == (before, count)
    assert [each.name for each in snapshots.all_snapshots()] == ["a", "seed"]
    # As the start of a sandbox does.
    snapshot_storage.delete_drafts()
    assert drafts() == []
    files.imported(vendor, content, name="b")
