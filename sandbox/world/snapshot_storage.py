"""Where snapshots are stored: files of SQLite in SIM_DATA_DIR/snapshots, schemas of PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, ProgrammingError, connection, transaction

from requests_queue.errors import Conflict, Missing, Refused

FOLDER = "snapshots"
_SUFFIX, DRAFT = ".sqlite3", ".draft"
_OLD = 3600.0  # seconds after which the draft of a killed process is deleted
_LOCK = 0x736E6170  # "snap", the first key of the advisory lock of a snapshot


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a snapshot: real time of its creation, its platform time, its version.

    `version` is the fingerprint of its tables; empty if the snapshot is damaged. Times in ISO 8601.
    """

    name: str
    created: str = ""
    now: str = ""
    version: str = ""


class Damaged(Conflict):
    """A snapshot cannot be read."""

    def __init__(self, name: str) -> None:
        super().__init__("SNP_003", f"The snapshot {name} is damaged: delete it and save another.")


class Exists(Conflict):
    """There is a snapshot of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "SNP_001", f"The snapshot {name} exists already. Use another name, or replace it."
        )


class Files:
    """One SQLite file per snapshot, readable by its owner only; attached to be read or written."""

    def __init__(self) -> None:
        self._folder = _folder()

    def all(self) -> list[Snapshot]:
        """Return the snapshots by name."""
        names = (path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))
        found = (self.get(name) for name in sorted(names))
        return [snapshot for snapshot in found if snapshot is not None]

    def get(self, name: str) -> Snapshot | None:
        """Return a snapshot, None if there is none of the name."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with closing(sqlite3.connect(_uri(path), uri=True)) as file:
                [text] = file.execute("SELECT json FROM meta").fetchone()
            return Snapshot(**{**json.loads(text), "name": name})
        except (sqlite3.Error, ValueError, TypeError):
            return Snapshot(name)

    def create(self, snapshot: Snapshot, fill: Callable[[str], None], *, replace: bool) -> None:
        """Write a draft, and rename it when it is complete; raises Exists."""
        path = self._path(snapshot.name)
        if not replace and path.exists():
            raise Exists(snapshot.name)
        delete_drafts(_OLD)
        with new_draft() as draft:
            with attached(str(draft), "draft") as cursor:
                # An incomplete draft is deleted, so it needs no journal.
                cursor.execute("PRAGMA draft.journal_mode = OFF")
                cursor.execute("PRAGMA draft.synchronous = OFF")
                with transaction.atomic():
                    cursor.execute("CREATE TABLE draft.meta (json TEXT)")
                    cursor.execute("INSERT INTO draft.meta VALUES (%s)", [_meta(snapshot)])
                    fill("draft")
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            if replace:
                draft.replace(path)
                return
            try:
                # Race: fails if another process has saved this name meanwhile.
                os.link(draft, path)
            except FileExistsError:
                raise Exists(snapshot.name) from None

    @contextmanager
    def opened(self, name: str, alias: str) -> Iterator[str]:
        """Attach the file read-only, for a block that is no transaction; raises Missing, Damaged.

        The snapshot is neither deleted nor replaced meanwhile.
        """
        path = self._path(name)
        with ExitStack() as stack:
            try:
                cursor = stack.enter_context(attached(_uri(path), alias))
            except Error as error:
                raise (Damaged if path.exists() else Missing)(name) from error
            _check(cursor, alias, name)
            yield alias

    def delete(self, name: str) -> bool:
        """Delete a snapshot; return whether there was one."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def _folder() -> Path:
    return Path(settings.SIM_DATA_DIR) / FOLDER


def draft_folder() -> Path:
    """Return the folder of drafts, which the next start deletes if this process is killed."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def new_draft() -> Iterator[Path]:
    """Create a file for a block, readable by its owner only; the block may rename it."""
    path = draft_folder() / f"{uuid.uuid4().hex}{DRAFT}"
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def delete_drafts(age: float = 0.0) -> None:
    """Delete what killed processes have left that is older than `age` seconds."""
    for path in _folder().glob(f"*{DRAFT}"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime > time.time() - age:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


@contextmanager
def attached(file: str, alias: str) -> Iterator[Any]:
    """Attach a file of SQLite to the connection, for a block that is no transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"ATTACH DATABASE %s AS {alias}", [file])
        try:
            yield cursor
        finally:
            cursor.execute(f"DETACH DATABASE {alias}")


def _check(cursor: Any, alias: str, name: str) -> None:
    try:
        cursor.execute(f"PRAGMA {alias}.quick_check(1)")
        [result] = cursor.fetchone()
    except Error as error:
        raise Damaged(name) from error
    if result != "ok":
        raise Damaged(name)


def _meta(snapshot: Snapshot) -> str:
    return json.dumps(asdict(snapshot))


class Schemas:
    """One schema per snapshot, named by a hash; its comment has the name and the times.

    An advisory lock of the snapshot is held shared by what reads its tables, and exclusively by
    what creates or drops them, before all other locks: DROP SCHEMA locks tables in an order of its
    own.
    """

    _PREFIX = "snapshot_"

    def all(self) -> list[Snapshot]:
        """Return the snapshots by name."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace "
                "WHERE starts_with(nspname, %s)",
                [self._PREFIX],
            )
            rows = cursor.fetchall()
        return sorted((Snapshot(**json.loads(text)) for (text,) in rows), key=lambda s: s.name)

    def get(self, name: str) -> Snapshot | None:
        """Return a snapshot, None if there is none of the name."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
                [self._schema(name)],
            )
            row = cursor.fetchone()
        return Snapshot(**json.loads(row[0])) if row else None

    def create(self, snapshot: Snapshot, fill: Callable[[str], None], *, replace: bool) -> None:
        """Create a snapshot in one transaction; raises Exists."""
        schema = self._schema(snapshot.name)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # All tables are copied as of one moment.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", self._lock(snapshot.name))
                if replace:
                    cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                elif self.get(snapshot.name):
                    raise Exists(snapshot.name)
                cursor.execute(f"CREATE SCHEMA {schema}")
                fill(schema)
                cursor.execute(f"COMMENT ON SCHEMA {schema} IS %s", [_meta(snapshot)])
        except ProgrammingError as error:
            raise _without_permission(error) from error

    @contextmanager
    def opened(self, name: str, alias: str) -> Iterator[str]:
        """Yield the schema of a snapshot; raises Missing."""
        with connection.cursor() as cursor:
            # Of the session: it is taken before the transaction of a restore.
            cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", self._lock(name))
            try:
                if self.get(name) is None:
                    raise Missing(name)
                yield self._schema(name)
            finally:
                cursor.execute("SELECT pg_advisory_unlock_shared(%s, %s)", self._lock(name))

    def delete(self, name: str) -> bool:
        """Delete a snapshot; return whether there was one."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", self._lock(name))
            if self.get(name) is None:
                return False
            cursor.execute(f"DROP SCHEMA {self._schema(name)} CASCADE")
        return True

    def _schema(self, name: str) -> str:
        return self._PREFIX + hashlib.sha256(name.encode()).hexdigest()[:24]

    def _lock(self, name: str) -> tuple[int, int]:
        """Return the keys of a snapshot's advisory lock."""
        digest = hashlib.sha256(name.encode()).digest()
        return _LOCK, int.from_bytes(digest[:4], signed=True)


def _without_permission(error: ProgrammingError) -> Exception:
    """Return a refusal if the database user may not create schemas, otherwise the error."""
    cause = error.__cause__
    if getattr(cause, "sqlstate", "") == "42501":
        return Refused(
            "SNP_501",
            "Snapshots need the CREATE privilege: GRANT CREATE ON DATABASE … to the user of "
            "DATABASE_URL.",
            status=501,
        )
    if getattr(cause, "sqlstate", "") == "42P06":
        # The other one has committed since this transaction began, which doesn't see its schema.
        text = "A snapshot of this name was saved at the same time. Try again."
        return Refused("SNP_005", text, status=409)
    return error


def current() -> Files | Schemas:
    """Return the storage of the database; call it in the thread of `tables.in_own_thread`."""
    return Files() if connection.vendor == "sqlite" else Schemas()
