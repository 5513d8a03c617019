"""The page of snapshots: save, restore, compare, delete."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from requests_queue.catalog.models import User
from requests_queue.errors import Refused
from requests_queue.queues.fulfillment.models import Request
from sandbox.world import snapshots
from tests import html
from tests.html import Element
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root(saved: dict[str, list[Any]]) -> Client:
    """The administrator of the demo data."""
    return signed_in(User.objects.get(username="admin"))


@pytest.fixture
def vendor(saved: dict[str, list[Any]]) -> Client:
    """A user of the demo data's vendor."""
    return signed_in(User.objects.get(username="vendor"))


def page(client: Client) -> Element:
    return html.get(client, "/snapshots/")


def names(client: Client) -> list[str]:
    return [row["data-snapshot"] for row in page(client).all("tr[data-snapshot]")]


def act(client: Client, path: str, **data: str) -> str:
    """POST, and return the summary of the next page."""
    response = client.post(f"/snapshots/{path}", data)
    assert (response.status_code, response["Location"]) == (303, "/snapshots/"), response
    return page(client).one("*[data-summary]").text


def test_snapshot_is_saved_compared_restored_and_deleted(root: Client) -> None:
    assert names(root) == ["seed"]
    assert act(root, "", name="two-orders") == "Snapshot two-orders saved."
    assert names(root) == ["seed", "two-orders"]
    row = Request.objects.filter(status="pending").first()
    assert row is not None
    Request.objects.filter(pk=row.pk).update(status="failed")
    diff = html.get(root, "/snapshots/two-orders/diff/")
    [changed] = [each for each in diff.rows() if row.pk in each[0]]
    assert changed[1:] == ["status", "pending", "failed"]
    assert "Restore two-orders?" in html.get(root, "/snapshots/two-orders/restore/")
    assert act(root, "two-orders/restore/").startswith("Snapshot two-orders restored in")
    row.refresh_from_db()
    assert row.status == "pending"
    assert "Delete two-orders?" in html.get(root, "/snapshots/two-orders/delete/")
    assert act(root, "two-orders/delete/") == "Snapshot two-orders deleted."
    assert names(root) == ["seed"]


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("", 400, "up to 64 characters"), ("Upper", 400, "up to 64 characters"),
        ("now", 400, "reserved"), ("seed", 400, "reserved"), ("a\0", 400, "up to 64 characters"),
        ("taken", 409, "exists already"),
    ],
)  # fmt: skip
def test_wrong_name_is_refused_with_a_sentence(
    vendor: Client, name: str, status: int, text: str
) -> None:
    snapshots.save("taken", patience=0)
    response = vendor.post("/snapshots/", {"name": name})
    assert response.status_code == status
    shown = html.parse(response)
    assert text in shown.one("[role=alert]") and shown.one("#snapshot-name").value == name.strip()
    assert names(vendor) == ["seed", "taken"]


@pytest.mark.parametrize("path", ["none/restore/", "none/delete/", "seed/delete/", "UP/restore/"])
def test_missing_snapshot_is_not_found(vendor: Client, path: str) -> None:
    assert vendor.get(f"/snapshots/{path}").status_code == 404
    response = vendor.post(f"/snapshots/{path}")
    assert response.status_code in (303, 404)
    assert names(vendor) == ["seed"]


def test_comparison_of_all_accounts_is_for_administrators(vendor: Client, root: Client) -> None:
    assert not page(vendor).all('a[href="/snapshots/seed/diff/"]')
    assert vendor.get("/snapshots/seed/diff/").status_code == 404
    assert page(root).all('a[href="/snapshots/seed/diff/"]')
    assert root.get("/snapshots/none/diff/").status_code == 404


def test_database_without_snapshots_says_why(
    vendor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise Refused("SYS_501", "Schemas cannot be created.", status=501)

    for name in ("all_snapshots", "save", "restore", "delete"):
        monkeypatch.setattr(snapshots, name, refuse)
    assert "Schemas cannot be created." in html.get(vendor, "/snapshots/", 501)
    for method in (vendor.get, vendor.post):
        assert method("/snapshots/a/restore/")["Location"] == "/snapshots/"
    assert vendor.post("/snapshots/a/delete/")["Location"] == "/snapshots/"
