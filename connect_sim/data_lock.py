"""One sandbox per data: locks that its process holds, and a watch for a deleted database.

The system releases the locks when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from connect_sim import data_folder, logs
from connect_sim.installation import StartError

logger = logging.getLogger(__name__)

FILE = "sandbox.lock"
PERIOD = 1.0  # seconds between two looks at the database file

# Open until the process ends: closing them would release the locks.
_held: list[BinaryIO] = []


def hold(*, exclusive: bool) -> None:
    """Lock the data of this process until it ends, once in a process; raises StartError.

    A sandbox has its data folder and its SQLite file for itself (`exclusive`); web servers, workers
    and beat share a SQLite file.
    """
    # A sandbox has a scheduler too.
    if _held:
        return
    if exclusive:
        _lock(settings.SIM_DATA_DIR, settings.SIM_DATA_DIR / FILE, exclusive=True)
    if database := _sqlite_file():
        _lock(database, Path(f"{database}.lock"), exclusive=exclusive)


def watch() -> None:
    """End this process within seconds if its SQLite file is deleted or replaced."""
    if database := _sqlite_file():
        # Never closed, which would release SQLite's own locks of the file.
        descriptor = os.open(database, os.O_RDONLY)
        threading.Thread(
            target=exit_without, args=(database, descriptor), name="database-file", daemon=True
        ).start()


def is_same(path: Path, descriptor: int) -> bool:
    """Return whether the path still leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # The file system doesn't respond, which says nothing about the file.
        return True


def exit_without(database: Path, descriptor: int) -> None:
    """End this process with exit code 1 when the open file is not at its path any more."""
    while is_same(database, descriptor):
        time.sleep(PERIOD)
    text = (
        f"{database} was deleted or replaced while this process used it. Nothing more can be "
        "stored, so the process ends: start it again."
    )
    try:
        if settings.SIM_LOG_FORMAT == logs.JSON:
            logger.critical(text)
        else:
            sys.stderr.write(f"Error: {text}\n")
            sys.stderr.flush()
    finally:
        # At once: requests in progress would be answered as if their changes were stored.
        os._exit(1)


def _sqlite_file() -> Path | None:
    """Return the file of the database, without symbolic links; None on PostgreSQL."""
    database = settings.DATABASES["default"]
    return Path(database["NAME"]).resolve() if database["ENGINE"].endswith("sqlite3") else None


def _lock(data: Path, path: Path, *, exclusive: bool) -> None:
    with data_folder.failures_named(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # In a shared folder, another user could let a link lead to a file that would be emptied.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        file = os.fdopen(descriptor, "r+b", buffering=0)
    _held.append(file)
    # A child that outlives this process must not keep the lock; programs don't inherit the file.
    os.register_at_fork(after_in_child=file.close)
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read(500).decode(errors="replace") or "another process"
        raise StartError(
            f"{data} is in use by {holder}. Stop it first, or use other data: --data-dir, or "
            "SIM_DATA_DIR, names another folder."
        ) from None
    except OSError as error:
        logger.warning(
            "%s cannot be locked (%s): make sure that no other sandbox uses %s at the same time.",
            path,
            error.strerror,
            data,
        )
        return
    process = f"process {os.getpid()} on {socket.gethostname()}"
    file.truncate(0)
    file.write(
        f"the sandbox at {settings.LOCAL_URL} ({process})".encode()
        if exclusive
        else f"a web server, worker or beat (the last one started is {process})".encode()
    )
