"""Data folders of older versions, kept in `tests/packaging/data`: a newer version opens them.

For each release:

    python -m tests.packaging.old_data

It builds the wheel, starts a sandbox of it, orders, saves a snapshot, and packs the data folder.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

FOLDER = Path(__file__).parent / "data"
SNAPSHOT = "ordered"


def archives() -> list[Path]:
    """Return the packed folders, one for each version."""
    return sorted(FOLDER.glob("var-*.tar.xz"))


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a data folder, and return it."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "var"


def main() -> None:
    """Pack the data folder of the present version."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    root = Path(tempfile.mkdtemp(prefix="connect-sim-old-"))
    os.environ["SIM_DATA_DIR"] = str(root / "unused")
    import django

    django.setup()
    from connect_sim import __version__
    from tests.packaging import wheels

    programs = wheels.install(root / "environment", sys.executable)
    _fill(programs, root)
    target = FOLDER / f"var-{__version__}.tar.xz"
    with tarfile.open(target, "w:xz") as packed:
        packed.add(root / "var", "var")
    shutil.rmtree(root)
    sys.stdout.write(f"{target}\n")


def _fill(programs: Path, root: Path) -> None:
    """Run a sandbox whose handler has failed once."""
    from tests import orders
    from tests.engines import until
    from tests.handlers import handler
    from tests.processes import Process, Sandbox

    port, log = root / "port", root / "log"
    command = [str(programs / "connect-sim"), "--port", "0", "--port-file", str(port),
               "--data-dir", str(root / "var")]  # fmt: skip
    process = Process(command, dict(os.environ), log, root)
    with log.open("w") as out:
        process.popen = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        until(port.exists, "the port file", timeout=120)
        running = Sandbox(f"http://127.0.0.1:{port.read_text().strip()}", root / "var", process)
        running = running.wait().as_tester()
        with handler(500) as served:
            hook = orders.webhook(running, served.url)
            orders.purchase(running)
            orders.until_stats(running, hook["id"], triggers=1)
        assert running.call("POST", "/sandbox/snapshots", {"name": SNAPSHOT}).status_code == 201
    finally:
        process.stop()
    with closing(sqlite3.connect(root / "var" / "connect.sqlite3")) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")


if __name__ == "__main__":
    main()
