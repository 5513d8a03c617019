"""A newer version opens the data folder of an older one: data, keys and secrets are kept."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from tests import orders
from tests.engines import until
from tests.handlers import handler
from tests.packaging import old_data
from tests.processes import Sandbox, sandbox


def test_data_of_older_versions_are_kept() -> None:
    names = {path.name for path in old_data.archives()}
    assert {"var-0.1.0.tar.xz", "var-0.1.0-kept-counts.tar.xz"} <= names


@pytest.mark.parametrize("archive", old_data.archives(), ids=lambda path: path.name)
def test_data_of_an_older_version_can_be_used(archive: Path, tmp_path: Path) -> None:
    var = old_data.unpack(archive, tmp_path)
    before, expected = json.loads((var / "sandbox.json").read_text()), _expected(var)
    with handler() as served:
        _call(var, served.url)
        with sandbox(var, first=True) as running:
            assert running.vendor_key == before["vendor_api_key"]
            assert running.provider_key == before["provider_api_key"]
            if expected:
                assert old_data.shown(running) == expected
            _see_deliveries(running)
            [hook] = _webhooks(running)
            assert hook["stats"]["events"] == 1
            # The pending delivery, now or after the end of its backoff.
            url = f"{served.url}again/"
            running.as_vendor("PUT", f"/notifications/webhooks/{hook['id']}", {"external_url": url})
            # Signed with the secret that the older version has encrypted.
            claims = jwt.decode(served.next().token, orders.SECRET, algorithms=["HS256"])
            assert claims["api_url"].startswith(running.url)
            order = orders.purchase(running)
            served.next()
            assert running.as_vendor("GET", f"/requests/{order['id']}")["status"] == "pending"
            assert running.call("POST", "/sandbox/reset", {}).status_code == 200
            assert _webhooks(running) == []
            _use_snapshot(running)


def _call(var: Path, url: str) -> None:
    """Replace the endpoint of the webhooks, whose handler is that of another program by now.

    The backoff ends later than this test, so that nothing changes before it has been compared.
    """
    with closing(sqlite3.connect(var / "connect.sqlite3")) as database, database:
        database.execute("UPDATE webhooks_webhook SET external_url = ?", [url])
        database.execute(
            "UPDATE webhooks_webhook SET earliest_possible_trigger = '2099-01-01 00:00:00' "
            "WHERE earliest_possible_trigger IS NOT NULL"
        )


def _expected(var: Path) -> dict[str, Any]:
    """Return what the API showed of a folder, as this version shows it; empty if that isn't kept.

    Older versions showed drafts of listing requests to the distributor, too.
    """
    if not (var / old_data.SHOWN).exists():
        return {}
    found: dict[str, Any] = json.loads((var / old_data.SHOWN).read_text())
    with closing(sqlite3.connect(var / "connect.sqlite3")) as database:
        columns = database.execute("SELECT name FROM pragma_table_info('listing_listingrequest')")
        if ("submitted",) not in columns.fetchall():
            query = "SELECT COUNT(*) FROM listing_listingrequest WHERE status = 'draft'"
            [(drafts,)] = database.execute(query)
            key = "provider: listing-requests?"
            found["totals"][key] = str(int(found["totals"][key]) - drafts)
    return found


def _see_deliveries(running: Sandbox) -> None:
    """Sign in by the link of the start, and find each delivery in the log and on its page."""
    pattern = re.compile(rf"{re.escape(running.url)}/sign-in/\S+")
    until(lambda: pattern.search(running.process.printed), "the sign-in link", timeout=60)
    browser = requests.Session()
    [link] = pattern.findall(running.process.printed)
    assert browser.get(link, timeout=30).status_code == 200
    ids = [row["id"] for row in running.call("GET", "/sandbox/deliveries").json()["deliveries"]]
    log = browser.get(f"{running.url}/deliveries/", timeout=30).text
    assert ids and all(f"/deliveries/{pk}/" in log for pk in ids)
    for pk in ids:
        assert browser.get(f"{running.url}/deliveries/{pk}/", timeout=30).status_code == 200


def _webhooks(running: Sandbox) -> list[dict[str, Any]]:
    return list(running.as_vendor("GET", "/notifications/webhooks?eq(label,Test)"))


def _use_snapshot(running: Sandbox) -> None:
    """Restore a snapshot of the older version, or learn why not."""
    path = f"/sandbox/snapshots/{old_data.SNAPSHOT}/restore"
    response = running.call("POST", path, {})
    if response.status_code == 409:
        assert "was saved by another version of the sandbox" in response.text
    else:
        assert response.status_code == 200
        assert len(_webhooks(running)) == 1
