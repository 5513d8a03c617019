"""A sandbox that is killed while it reads a usage file finishes it after the restart."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.processes import Sandbox, pause, restart, sandbox
from tests.queue import spreadsheets as sheets

ROWS = 3000


def until(running: Sandbox, path: str, expected: Callable[[Any], bool]) -> Any:
    """Poll a file until it has the status, and return it."""
    deadline = time.monotonic() + 240
    while True:
        body = running.as_vendor("GET", path)
        if expected(body):
            return body
        assert time.monotonic() < deadline, body
        pause()


def used(running: Sandbox) -> tuple[dict[str, Any], bytes]:
    """Return the body of a file with many usage rows of a subscription."""
    asset = running.as_vendor("GET", "/assets?status=active&limit=1")[0]
    named = {
        "item_search_value": asset["items"][0]["mpn"],
        "asset_search_value": asset["id"],
    }
    rows = sheets.csv(sheets.table([sheets.row(n, **named) for n in range(ROWS)]))
    body = {name: {"id": asset[name]["id"]} for name in ("product", "contract")}
    return {"name": "November", **body}, rows


def let_the_lease_pass(running: Sandbox) -> None:
    """Expire the lease of the killed worker without waiting."""
    with sqlite3.connect(running.data_dir / "connect.sqlite3") as database:
        database.execute("UPDATE usage_file_usagefile SET lease = lease - 120 WHERE claim != ''")
    database.close()


def test_usage_file_of_killed_worker_is_read_after_the_restart(tmp_path: Path) -> None:
    with sandbox(tmp_path / "data") as running:
        body, content = used(running)
        path = f"/usage/files/{running.as_vendor('POST', '/usage/files', body)['id']}"
        response = requests.post(
            f"{running.url}/public/v1{path}/upload",
            headers={"Authorization": f"ApiKey {running.vendor_key}"},
            files={"usage_file": ("usage.csv", content)},
            timeout=30,
        )
        assert response.status_code == 201
        shown = until(running, path, lambda f: f["stats"]["validated"] > 0)
        running.process.kill()
        assert shown["stats"]["uploaded"] == ROWS and shown["sub_status"] == "processing"
        let_the_lease_pass(running)
        restart(running)
        shown = until(running, path, lambda f: f["sub_status"] == "processed")
        assert (shown["status"], shown["error_detail"]) == ("ready", "")
        assert shown["stats"]["validated"] == shown["records"]["valid"] == ROWS
        records = running.call(
            "GET", f"/public/v1/usage/records?eq(usagefile.id,{path[-20:]})&limit=0"
        )
        assert records.headers["Content-Range"] == f"items 0-0/{ROWS}"
        assert running.as_vendor("POST", f"{path}/submit")["status"] == "pending"
