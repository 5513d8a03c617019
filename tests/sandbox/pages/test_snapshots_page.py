"""The page of snapshots: save, restore, compare, delete."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from requests_queue.catalog.models import Account, AuditEntry, User
from requests_queue.errors import Refused
from requests_queue.queues.fulfillment.models import Request
from sandbox.snapshot_files import exporting, format
from sandbox.world import snapshots
from tests import html
from tests.api import VENDOR, caller
from tests.html import Element
from tests.orders import PLAIN
from tests.sandbox import worlds
from tests.signed_in import signed_in
from webhooks.models import Webhook

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


def test_comparison_shows_values_of_each_type(root: Client) -> None:
    vendor = caller(Account.objects.get(pk=VENDOR))
    name = worlds.webhook(vendor, "http://127.0.0.1:9/")["id"]
    webhook = Webhook.objects.filter(pk=name)
    webhook.update(events=0, active=True, data={}, modified_at=None, label="Then")
    act(root, "", name="before")
    at = datetime(2026, 12, 3, tzinfo=UTC)
    webhook.update(events=7, active=False, data={"tenant": ["ü"]}, modified_at=at, label="Now\x1b")
    rows = html.get(root, "/snapshots/before/diff/").rows()
    assert {field: [then, now] for id, field, then, now in rows if name in id} == {
        "events": ["0", "7"],
        "active": ["true", "false"],
        "data": ["{}", '{"tenant": ["ü"]}'],
        "modified_at": ["–", "2026-12-03T00:00:00.000+00:00"],
        "label": ["Then", "Now\\x1b"],
    }


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


def upload(client: Client, content: bytes, **fields: str) -> HttpResponse:
    """Import a file, and return the response."""
    file = SimpleUploadedFile("a.jsonl.gz", content)
    response: Any = client.post("/snapshots/import/", {"file": file, **fields})
    return response


def test_file_is_downloaded_and_imported(root: Client, vendor: Client) -> None:
    hook = Webhook.objects.create(
        id="WH-111-222-333", label="A", object_class="fulfillment_request",
        external_url="http://127.0.0.1:9/", jwt_secret="canary-0123456789", product_id=PLAIN,
        account_id=VENDOR, created_at=datetime.now(UTC),
    )  # fmt: skip
    snapshots.save("two", patience=0)
    shown = html.get(root, "/snapshots/two/export/")
    assert shown.one("input[name=secrets]")["aria-describedby"] == "secrets-help"
    contents = []
    for fields in ({}, {"secrets": "1"}):
        response = root.post("/snapshots/two/export/", fields)
        assert (response.status_code, response["Content-Type"]) == (200, "application/gzip")
        assert response["Content-Disposition"] == 'attachment; filename="two.jsonl.gz"'
        contents.append(response.content)
    has_secret = [b"canary-0123456789" in gzip.decompress(each) for each in contents]
    assert has_secret == [False, True]
    [entry] = AuditEntry.objects.filter(action="webhook.reveal")
    assert (entry.object_type, entry.object_id, entry.account) == ("snapshot", "two", VENDOR)
    for content, name in zip(contents, ("three", "four"), strict=True):
        response = upload(vendor, content, name=name)
        assert (response.status_code, response["Location"]) == (303, "/snapshots/")
        summary = page(vendor).one("*[data-summary]").text
        assert summary.startswith(f"Snapshot {name} imported.")
        assert ("1 webhook and" in summary) == (name == "three")
        # Those of other accounts are none of the viewer's.
        assert hook.pk not in summary
    assert names(root) == ["four", "seed", "three", "two"]
    assert upload(vendor, contents[0], replace="on").status_code == 303


def test_wrong_file_is_an_error_at_its_field(
    vendor: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = snapshots_file("taken")
    for fields, status, field, text in (
        ({"content": b""}, 400, "file", "empty"),
        ({"content": b"no snapshot"}, 400, "file", "not a snapshot"),
        ({"content": content[:-9], "name": "b"}, 400, "file", "damaged"),
        ({"content": content}, 409, "name", "exists already"),
        ({"content": content, "name": "Upper"}, 400, "name", "up to 64 characters"),
    ):
        response = upload(vendor, **fields)  # type: ignore[arg-type]
        assert response.status_code == status
        shown = html.parse(response)
        assert text in shown.one(f"#id_{field}_error")
        assert shown.one(f"#id_{field}")["aria-invalid"] == "true"
    assert vendor.post("/snapshots/import/").status_code == 400
    with monkeypatch.context() as patched:
        patched.setattr(format, "MAX_PACKED", 100)
        response = upload(vendor, content)
    assert response.status_code == 413
    assert html.parse(response).one("#id_file_error").text.startswith("Error: The file is larger")
    folder = settings.SIM_DATA_DIR
    settings.SIM_DATA_DIR = folder / "file"
    settings.SIM_DATA_DIR.touch()
    response = upload(vendor, content, name="b")
    assert response.status_code == 503
    assert "cannot be written" in html.parse(response).one("#id_file_error")
    settings.SIM_DATA_DIR = folder
    assert names(vendor) == ["seed", "taken"]


def snapshots_file(name: str) -> bytes:
    """Save a snapshot, and return its file."""
    snapshots.save(name, patience=0)
    with exporting.export(name) as file:
        return file.read()


def test_file_of_all_accounts_is_for_administrators(vendor: Client, root: Client) -> None:
    assert not page(vendor).all('a[href="/snapshots/seed/export/"]')
    assert page(root).all('a[href="/snapshots/seed/export/"]')
    for method in (vendor.get, vendor.post):
        assert method("/snapshots/seed/export/").status_code == 404
    for path in ("none", "UP"):
        assert root.get(f"/snapshots/{path}/export/").status_code == 404
    for path in ("seed/export/", "import/"):
        assert Client().get(f"/snapshots/{path}")["Location"].startswith("/sign-in/")


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
