"""The timeline of a running sandbox, and the order of causes and effects in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.processes import Sandbox

Entries = list[dict[str, Any]]


def cursor(running: Sandbox) -> str:
    """Return the cursor of the present."""
    return str(running.call("GET", "/sandbox/cursor").json()["cursor"])


def since(running: Sandbox, cursor: str) -> Entries:
    """Return the entries after a cursor, in order."""
    answer = running.call("GET", f"/sandbox/timeline?since={cursor}&limit=1000").json()
    return list(answer["entries"])


def of_kind(entries: Entries, kind: str) -> Entries:
    return [entry for entry in entries if entry["kind"] == kind]


def check_causes(entries: Entries, orders: Sequence[str]) -> None:
    """Check that each delivery about the orders, which were purchased one after another and
    approved, starts after the entry of the API call that created it."""
    place = {entry["cursor"]: n for n, entry in enumerate(entries)}
    started = {
        entry["delivery"]: place[entry["cursor"]]
        for entry in reversed(of_kind(entries, "attempt_started"))
    }
    created = {(e["object"], e["data"]["to"]): e["delivery"] for e in of_kind(entries, "event")}
    # Rejected calls may be those of an earlier test, stored a little later by another process.
    calls = [
        entry
        for entry in of_kind(entries, "api_call")
        if entry["data"]["method"] == "POST" and entry["data"]["status"] < 400
    ]
    purchases = [e for e in calls if e["data"]["path"] == "/public/v1/requests"]
    approvals = {e["object"]: e for e in calls if e["data"]["path"].endswith("/approve")}
    # The handler may approve orders of an earlier test too.
    assert len(purchases) == len(orders) and approvals.keys() >= set(orders)
    for pk, purchase in zip(orders, purchases, strict=True):
        assert place[purchase["cursor"]] < started[created[pk, "pending"]]
        assert place[approvals[pk]["cursor"]] < started[created[pk, "approved"]]
