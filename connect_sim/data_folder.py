"""The data folder, with permissions for its owner only: 0700, and 0600 for its files."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
# A folder with one of these is a data folder.
_OWN_FILES = ("secret_key", "encryption_key", "sandbox.json", "sandbox.lock", "connect.sqlite3")


def prepare(folder: Path, database: Path) -> None:
    """Create the folders, and remove other users' permissions on our files.

    Raises ImproperlyConfigured with one sentence if a folder cannot be created, or the SQLite file
    written.
    """
    with failures_named(folder):
        create(folder)
        _make_private(folder)
    with failures_named(database):
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if database.exists():
            os.close(os.open(database, os.O_RDWR))


def create(folder: Path) -> None:
    """Create the folder and missing parents; a folder with our data only becomes private."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _is_own(folder):
        folder.chmod(0o700)


def create_database(path: Path) -> None:
    """Create the SQLite file, unless it exists: SQLite would let others read it."""
    with failures_named(path), suppress(FileExistsError):
        # SQLite copies the permissions of the database to -wal and -shm.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def key(path: Path) -> str:
    """Return the key in a file, which is created on first use.

    Raises ImproperlyConfigured if the file cannot be used, or if another user may write it.
    """
    with failures_named(path):
        create(path.parent)
        if not path.exists():
            _create_key(path)
        content = _read_key(path).strip()
    if not content:
        raise unusable(path, "it is empty; restore it from a backup, or delete it")
    return content


def _create_key(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link fails if another process was faster: both then read its key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _read_key(path: Path) -> str:
    """Return the content of a file that no other user can have written or put in its place."""
    if path.is_symlink():
        raise unusable(path, "it is a symbolic link; put the file itself there")
    # The flags are for a link or a pipe that another user puts there meanwhile.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor) as file:
        status, folder = os.fstat(descriptor), path.parent.stat()
        content = file.read()
    # Root may write everything anyway.
    if status.st_uid not in (os.geteuid(), 0):
        raise unusable(
            path,
            f"it belongs to another user (uid {status.st_uid}), who may write it. Run as that "
            "user, or delete the file",
        )
    if status.st_mode & _OTHERS_WRITE:
        raise unusable(
            path,
            f"other users may write it. If nobody has changed it, run `chmod 600 {path}`; "
            "otherwise delete it",
        )
    # In a folder with the sticky bit (`/tmp`), only its owner can replace a file. The permission of
    # the group is common: many systems give each user a group of their own.
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise unusable(
            path,
            f"other users may replace it. Run `chmod +t {path.parent}`, or `chmod o-w` if only you "
            "need the folder",
        )
    return content


def own_files(folder: Path) -> list[Path]:
    """Return the files of a sandbox in the folder: database, keys, address, log and snapshots."""
    own = (*_OWN_FILES, "sandbox.log")
    files = [path for path in folder.glob("*") if path.name.startswith(own)]
    return sorted([*files, *folder.glob("snapshots/*.sqlite3")])


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Convert file system errors to ImproperlyConfigured with one sentence that names the path."""
    try:
        yield
    except OSError as error:
        raise unusable(path, error.strerror or type(error).__name__) from None
    except UnicodeDecodeError:
        raise unusable(path, "it is not text; restore it from a backup, or delete it") from None


def unusable(path: Path, reason: str) -> ImproperlyConfigured:
    """Return the error for an unusable file or folder."""
    return ImproperlyConfigured(
        f"{path} cannot be used: {reason}. Correct it, or choose another folder with SIM_DATA_DIR."
    )


def _make_private(folder: Path) -> None:
    """Remove permissions of other users, which older versions or a permissive umask left."""
    is_own = _is_own(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_own and not entry.name.startswith(_OWN_FILES):
                continue
            if entry.is_file(follow_symlinks=False) and entry.stat().st_uid == os.geteuid():
                Path(entry.path).chmod(0o600)


def _is_own(folder: Path) -> bool:
    """Return whether the folder contains our data only.

    A shared folder (`/tmp`), a home folder or a checkout keeps its permissions.
    """
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
        return False
    if folder.resolve() in (Path("/"), Path(os.environ.get("HOME", "/")).resolve(), Path.cwd()):
        return False
    names = [path.name for path in folder.iterdir()]
    return not names or any(name.startswith(_OWN_FILES) for name in names)
