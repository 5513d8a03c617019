"""Data folders of older versions, kept in `tests/packaging/data`: a newer version opens them.

For each release, and before a change of what the database keeps, with a name for it:

    python -m tests.packaging.old_data
    python -m tests.packaging.old_data 0.1.0-kept-counts

It builds the wheel, starts a sandbox of it, orders, saves a snapshot, and packs the data folder,
with what the API shows of it (`shown.json`).
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.processes import Sandbox

FOLDER = Path(__file__).parent / "data"
SNAPSHOT = "ordered"
SHOWN = "shown.json"
LISTS = (
    *(f"requests?status={status}" for status in ("pending", "inquiring", "approved", "failed")),
    "requests?", "assets?", "tier/configs?", "tier/accounts?", "subscriptions/requests?",
    "listing-requests?", "usage/files?", "conversations?", "notifications/webhooks?",
)  # fmt: skip


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
    target = FOLDER / f"var-{sys.argv[1] if sys.argv[1:] else __version__}.tar.xz"
    with tarfile.open(target, "w:xz") as packed:
        packed.add(root / "var", "var")
    shutil.rmtree(root)
    sys.stdout.write(f"{target}\n")


def shown(running: Sandbox) -> dict[str, Any]:
    """Return what the API shows: numbers of rows for both parties, webhooks, deliveries, faults."""
    # Without the limit, the page would have all rows, and nothing would be counted.
    totals = {
        f"{party}: {path}": _list(running, f"/public/v1/{path}&limit=1", key)[1]
        for path in LISTS
        for party, key in (("vendor", running.vendor_key), ("provider", running.provider_key))
    }
    hooks, _ = _list(running, "/public/v1/notifications/webhooks")
    deliveries, _ = _list(running, "/sandbox/deliveries")
    faults, _ = _list(running, "/sandbox/faults")
    snapshots, _ = _list(running, "/sandbox/snapshots")
    return {
        "totals": totals,
        "webhooks": {hook["label"]: hook["stats"] for hook in hooks},
        "deliveries": {str(each["id"]): each["state"] for each in deliveries["deliveries"]},
        "faults": [fault["kind"] for fault in faults["faults"]],
        "snapshots": sorted(each["name"] for each in snapshots),
    }


def _list(running: Sandbox, path: str, key: str = "") -> tuple[Any, str]:
    response = running.call("GET", path, key=key)
    assert response.status_code == 200, response.text
    return response.json(), response.headers.get("Content-Range", "").rpartition("/")[2]


def _fill(programs: Path, root: Path) -> None:
    """Run a sandbox with orders in several statuses, and deliveries in several states."""
    from tests.engines import until
    from tests.processes import Process, Sandbox

    port, log = root / "port", root / "log"
    command = [
        str(programs / "connect-sim"),
        "--port",
        "0",
        "--port-file",
        str(port),
        "--data-dir",
        str(root / "var"),
    ]
    process = Process(command, dict(os.environ), log, root)
    with log.open("w") as out:
        process.popen = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        until(port.exists, "the port file", timeout=120)
        running = Sandbox(f"http://127.0.0.1:{port.read_text().strip()}", root / "var", process)
        running = running.wait().as_tester()
        _use(running)
        (root / "var" / SHOWN).write_text(json.dumps(shown(running), indent=1))
    finally:
        process.stop()
    with closing(sqlite3.connect(root / "var" / "connect.sqlite3")) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")


def _use(running: Sandbox) -> None:
    """Order, let handlers succeed and fail, upload a usage file, arm a fault, save a snapshot."""
    from tests import orders
    from tests.handlers import handler

    def post(path: str, body: dict[str, Any]) -> Any:
        response = running.call("POST", f"/sandbox/{path}", body)
        assert response.ok, response.text
        return response.json()

    with handler() as working, handler(500) as failing:
        works = orders.webhook(running, working.url, label="Works")["id"]
        ended = orders.webhook(running, failing.url, label="Disabled")["id"]
        approved, failed = orders.purchase(running)["id"], orders.purchase(running)["id"]
        params = [{"id": "activation_id", "value": "ACT-1"}]
        running.as_vendor("PUT", f"/requests/{approved}", {"asset": {"params": params}})
        post("queue/moves", {"id": approved, "action": "approve"})
        post("queue/moves", {"id": failed, "action": "fail", "data": {"reason": "No stock"}})
        orders.until_stats(running, works, success_triggers=4)
        # Its pending deliveries are canceled.
        running.as_vendor("PUT", f"/notifications/webhooks/{ended}", {"active": False})
        hook = orders.webhook(running, failing.url)["id"]
        orders.purchase(running)
        orders.until_stats(running, hook, triggers=1)
        orders.until_stats(running, works, success_triggers=5)
    post("queue/samples", {"queue": "usage_file"})
    post("faults", {"kind": "abort", "path": "/requests/*/approve", "nth": [1]})
    post("snapshots", {"name": SNAPSHOT})


if __name__ == "__main__":
    main()
