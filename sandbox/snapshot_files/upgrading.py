"""Files of older versions: loaded at their migrations, migrated, and written again.

A process of its own does it, whose only database is empty: migrations may use any connection.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import IO

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from checks.throwaway import environment
from requests_queue.errors import Refused
from sandbox.snapshot_files import contents, exporting, loading
from sandbox.snapshot_files.format import Manifest, Reader, newer, unreadable
from sandbox.world.snapshot_storage import Snapshot

_TIMEOUT = 300  # seconds
_MAX_ERROR = 300  # characters of an error of a migration
_REFUSED = 3  # the exit code for a file that cannot be imported; standard error says why
# It deletes its folder also if the process that has started it is killed.
_PROGRAM = """
import os, sys, tempfile
import django
output = os.fdopen(os.dup(1), "wb")
# Whatever a migration prints.
os.dup2(2, 1)
with tempfile.TemporaryDirectory() as os.environ["SIM_DATA_DIR"]:
    django.setup()
    from sandbox.snapshot_files import upgrading
    upgrading.main(output)
"""


def is_current(manifest: Manifest) -> bool:
    """Return whether a file is of this version's migrations; raises Invalid for newer ones."""
    nodes = MigrationLoader(None).graph.nodes
    for app, names in manifest.migrations.items():
        if any((app, name) not in nodes for name in names):
            raise newer(manifest.application)
    return manifest.migrations == contents.migrations()


def upgrade(content: bytes) -> io.BytesIO:
    """Return an older file as this version would write it; raises Invalid."""
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM],
            env={
                **environment(os.environ),
                "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
            },
            input=content,
            capture_output=True,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise unreadable(f"The file cannot be migrated within {_TIMEOUT} s.") from None
    error = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2][:_MAX_ERROR]
    if ended.returncode == _REFUSED:
        raise unreadable(error)
    if ended.returncode:
        raise unreadable(f"The file cannot be migrated to this version: {error}")
    return io.BytesIO(ended.stdout)


def main(output: IO[bytes]) -> None:
    """Read an older file from standard input, and write it as this version does."""
    try:
        content = _upgrade(sys.stdin.buffer.read())
    except Refused as error:
        sys.stderr.write(error.errors[0].message)
        sys.exit(_REFUSED)
    output.write(content)
    output.close()


def _upgrade(content: bytes) -> bytes:
    reader = Reader(io.BytesIO(content))
    manifest = reader.manifest
    targets = [(app, name) for app, names in manifest.migrations.items() for name in names]
    loading.load(reader, MigrationExecutor(connection).migrate(targets).apps, connection.alias)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    connection.check_constraints()
    snapshot = Snapshot(manifest.name, manifest.created, manifest.now)
    with exporting.write(snapshot, "main", manifest.secrets) as written:
        return written.read()
