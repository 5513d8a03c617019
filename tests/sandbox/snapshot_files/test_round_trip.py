"""A snapshot that goes through a file: what is restored, whose users and secrets it has."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import connection

from requests_queue.catalog.models import (
    Account,
    Asset,
    AuditEntry,
    Configuration,
    Parameter,
    ProductMedia,
    ProductVersion,
    Template,
    User,
    VersionPart,
)
from requests_queue.catalog.representations.parameters import numbered_id
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.helpdesk.models import Case
from requests_queue.queues.usage_file.models import UsageRecord
from requests_queue.redaction import MASK
from sandbox.snapshot_files import exporting, importing
from sandbox.timeline import api_calls, call_storage
from sandbox.world import snapshots
from tests import api, make
from tests.api import Caller
from tests.sandbox import recorded, worlds
from tests.sandbox.snapshot_files import files
from tests.sandbox.worlds import Rows, ok
from webhooks.models import Attempt, Delivery, Resend, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = (
    "/products", "/assets", "/requests", "/tier/accounts", "/tier/configs",
    "/tier/config-requests", "/tier/account-requests", "/subscriptions/requests", "/listings",
 "/listing-requests", "/usage/files", "/conversations", "/helpdesk/cases",
    "/notifications/webhooks", "/accounts", "/marketplaces", "/contracts",
)  # fmt: skip
CANARY = "canary-0123456789"
VISIBLE = "value-of-a-text"


def lists(caller: Caller) -> dict[str, Any]:
    """Return what the API lists, without what has a secret."""
    shown = {path: ok(caller.get(f"{path}?limit=1000")) for path in LISTS}
    text = json.dumps(shown)
    assert len(text) > 10_000
    return {path: sorted(map(_comparable, rows)) for path, rows in shown.items()}


def _comparable(row: Any) -> str:
    return re.sub(r"code=\w+", "", json.dumps(_without_secrets(row), sort_keys=True))


def _without_secrets(value: Any) -> Any:
    """Return what the API shows without secrets."""
    if isinstance(value, list):
        return list(map(_without_secrets, value))
    if not isinstance(value, dict):
        return value
    is_password = value.get("type") == "password"
    hidden = {"jwt_secret", *(["value"] if is_password else [])}
    return {key: _without_secrets(each) for key, each in value.items() if key not in hidden}


def restore(caller: Caller, name: str) -> None:
    ok(caller.post(f"/sandbox/snapshots/{name}/restore", {"patience": 0}))


def save(caller: Caller, name: str) -> bytes:
    """Save the present, and return its file."""
    api_calls.flush()
    ok(caller.post("/sandbox/snapshots", {"name": name, "patience": 0}))
    return files.exported(caller, name)


def plain(content: bytes) -> list[Any]:
    """Return the rows of a file, whose JSON and texts have no order."""
    return sorted(
        json.dumps(line, sort_keys=True) for line in files.lines(content) if isinstance(line, list)
    )


def test_restored_world_is_the_same(changed: Rows, vendor: Caller, distributor: Caller) -> None:
    content = save(vendor, "b")
    before = [(caller, lists(caller)) for caller in (vendor, distributor)]
    counts = {label: len(rows) for label, rows in worlds.contents().items()}
    worlds.purchase(distributor)
    answer = files.imported(vendor, content, name="c")
    assert answer["snapshot"] == {
        **next(s for s in ok(vendor.get("/sandbox/snapshots")) if s["name"] == "b"),
        "name": "c",
    }
    restore(vendor, "c")
    for caller, rows in before:
        restored = lists(caller)
        assert [path for path in LISTS if restored[path] != rows[path]] == []
    after = {label: len(rows) for label, rows in worlds.contents().items()}
    # The reads above are API calls.
    for label in ("sandbox.ApiCall", "sandbox.ApiCallObject"):
        counts.pop(label), after.pop(label)
    assert after == counts
    # A file of what was restored has the same rows, and new objects get new numbers.
    assert plain(files.exported(vendor, "c")) == plain(content)
    ok(vendor.post("/sandbox/snapshots/c/restore", {"patience": 0}))
    assert worlds.purchase(distributor)["id"]
    assert Delivery.objects.count() == counts["webhooks.Delivery"] + 1
    # The same snapshot is the same file.
    assert files.exported(vendor, "b") == content


def test_other_database_has_the_same_rows(changed: Rows, vendor: Caller) -> None:
    """A process with a database of SQLite reads the file and writes it."""
    content = save(vendor, "b")
    other = importing.upgrade(content).read()
    assert plain(other) == plain(content)
    files.imported(vendor, other, name="c")
    restore(vendor, "c")
    assert plain(save(vendor, "d")) == plain(content)


def test_awkward_values(saved: Rows, vendor: Caller) -> None:
    row = Template.objects.order_by("pk")[0]
    odd = {
        "id": "odd",
        "": [None, 1.5, 10**30, "\N{PILE OF POO}\u2028", {"a": {"b": [[]]}}],
        "long": "x" * 200_000,
    }
    moment = datetime(1, 1, 2, 3, 4, 5, 6, UTC)
    Template.objects.filter(pk=row.pk).update(body="\r\n\t\N{PILE OF POO}'\"\\ é", updated=moment)
    ProductMedia.objects.filter(pk=ProductMedia.objects.all()[0].pk).update(
        content=bytes(range(256)), created=datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)
    )
    UsageRecord.objects.update(quantity=Decimal("-0.0000000001"), amount=None)
    Asset.objects.update(params=[odd])
    if connection.vendor == "sqlite":
        Template.objects.filter(pk=row.pk).update(title="a\0b")
    content = save(vendor, "b")
    media, asset = ProductMedia.objects.all()[0], Asset.objects.all()[0]
    record, template = UsageRecord.objects.all()[0], Template.objects.get(pk=row.pk)
    snapshots.reset(0)
    files.imported(vendor, content, name="c")
    restore(vendor, "c")
    for each in (media, asset, record, template):
        restored = type(each)._base_manager.get(pk=each.pk)
        for field in each._meta.concrete_fields:
            before, after = getattr(each, field.attname), getattr(restored, field.attname)
            if isinstance(before, str):
                before = before.replace("\0", "\N{REPLACEMENT CHARACTER}")
            is_bytes = isinstance(before, memoryview | bytes)
            assert bytes(before) == bytes(after) if is_bytes else before == after, field.name


def test_users_are_those_of_the_sandbox_that_imports(saved: Rows, vendor: Caller) -> None:
    root, person = User.objects.get(username="admin"), User.objects.get(username="vendor")
    User.objects.update(email="canary", first_name="canary", password="canary")
    request = Request.objects.filter(vendor=api.VENDOR).order_by("pk")[0]
    case = Case.objects.order_by("pk")[0]
    other = make.catalog("7").vendor
    gone = User.objects.create(username="gone", uid="UR-999-999-001", account=person.account)
    Request.objects.filter(pk=request.pk).update(assignee=gone)
    Case.objects.filter(pk=case.pk).update(created_by=person, updated_by=gone)
    case.issuer_recipients.set([person, gone])
    LogEntry.objects.create(
        user=root, object_repr="x", action_flag=CHANGE, action_time=datetime.now(UTC)
    )
    content = save(vendor, "b")
    text = gzip.decompress(content).decode()
    assert "UR-999-999-001" in text
    for left_out in ("canary", "catalog.User", "auth.", "LogEntry"):
        assert left_out not in text
    gone.delete()
    # Its id is another one now, in a sandbox that knows the same user.
    User.objects.filter(pk=person.pk).update(first_name="Renamed")
    later = User.objects.create(username="later", uid="UR-999-999-002", account=person.account)
    files.imported(vendor, content, name="c")
    restore(vendor, "c")
    assert Request.objects.get(pk=request.pk).assignee is None
    case = Case.objects.get(pk=case.pk)
    assert (case.created_by, case.updated_by) == (person, None)
    assert list(case.issuer_recipients.all()) == [person]
    assert User.objects.get(pk=person.pk).first_name == "Renamed"
    assert {root, later} <= set(User.objects.all()) and LogEntry.objects.count() == 1
    assert Account.objects.filter(pk=other.pk).exists()
    # API keys are kept as after any restore.
    assert vendor.get("/requests").status == 200


def test_users_of_accounts_that_the_file_lacks_are_not_in_the_snapshot(
    saved: Rows, vendor: Caller
) -> None:
    content = save(vendor, "b")
    catalog = make.catalog("7")
    files.imported(vendor, content, name="c")
    restore(vendor, "c")
    assert not User.objects.filter(account_id=catalog.vendor.pk).exists()


@pytest.fixture
def secret(saved: Rows, vendor: Caller) -> Webhook:
    """A webhook with secrets, which are everywhere in the rows that belong to it."""
    shown = worlds.webhook(
        vendor, "http://127.0.0.1:9/", headers={"X-Key": f"{CANARY}-header", "Accept": "text/plain"}
    )
    row = Webhook.objects.get(pk=shown["id"])
    row.jwt_secret = f"{CANARY}-secret"
    row.save()
    # Stored before these were secrets.
    address = f"http://h/forms/PR-1?code={Request.objects.order_by('pk')[0].form_code}"
    links = [address, quote(address, safe="")]
    texts = json.dumps({"a": f"{CANARY}-secret", "b": f"{CANARY}-header", "links": links})
    delivery = Delivery.objects.create(webhook=row, created_at=datetime.now(UTC))
    now = datetime.now(UTC)
    attempt: dict[str, Any] = {
        "webhook": row, "delivery": delivery, "outcome": "failure", "started_at": now,
        "finished_at": now, "duration": 1, "method": "POST", "url": f"http://u:{CANARY}-url@h/",
        "request_headers": {"X-Key": f"{CANARY}-header", "Accept": "text/plain"},
        "request_body": texts, "claims": json.loads(texts), "error": f"{CANARY}-secret",
        "response_headers": [["X-Echo", f"{CANARY}-header"]], "response_body": texts.encode(),
    }  # fmt: skip
    Attempt.objects.create(number=1, **attempt)
    packed = gzip.compress(f"{CANARY}-secret".encode())
    headers = [["Content-Encoding", "gzip"]]
    Attempt.objects.create(
        number=2, **{**attempt, "response_headers": headers, "response_body": packed}
    )
    Resend.objects.create(
        delivery=delivery, number=1, changed=True, url="http://h/", method="POST",
        headers={"X-Key": f"{CANARY}-header"}, payload=texts,
    )  # fmt: skip
    _add_passwords()
    body = texts.encode()
    call_storage.store([recorded.call(request_body=body, response_body=body)])
    return row


def _add_passwords() -> None:
    now = datetime.now(UTC)
    password = {"type": "password", "id": "pin", "value": f"{CANARY}-password"}
    parameter = Parameter.objects.filter(product=worlds.PLAIN).order_by("pk")[0]
    Parameter.objects.filter(pk=parameter.pk).update(
        type="password", name="pin", default=f"{CANARY}-default"
    )
    Configuration.objects.create(
        product_id=worlds.PLAIN, parameter=parameter, value=f"{CANARY}-configured",
        created=now, updated=now,
    )  # fmt: skip
    part = {"type": "password", "id": "PRM-1", "default": f"{CANARY}-version"}
    version = ProductVersion.objects.create(
        product_id=worlds.PLAIN, number=7, created=now, updated=now
    )
    VersionPart.objects.create(
        version=version, kind="parameters", key="PRM-1", position=1, data=part, created=now,
        updated=now,
    )  # fmt: skip
    Asset.objects.update(params=[password, {"id": "pin", "type": "text", "value": VISIBLE}])
    Request.objects.update(params=[{"id": "pin", "value": f"{CANARY}-untyped"}])
    configured = {"parameter": {"id": numbered_id(worlds.PLAIN, parameter.number)}}
    bodies = [
        configured | {"value": f"{CANARY}-sent"},
        {"parameter": {"name": "pin", "type": "password"}, "structured_value": {"a": CANARY}},
        {"name": "other", "type": "Password", "default": f"{CANARY}-new"},
    ]
    call_storage.store([
        recorded.call(request_body=json.dumps(bodies).encode()),
        recorded.call(
            f"/public/v1/products/{worlds.PLAIN}/parameters/pin",
            request_body=json.dumps({"default": f"{CANARY}-changed"}).encode(),
        ),
    ])  # fmt: skip


def test_file_has_no_secret(secret: Webhook, vendor: Caller) -> None:
    content = save(vendor, "b")
    text = gzip.decompress(content).decode()
    assert CANARY not in text
    # Not in other forms either.
    codes = Request.objects.values_list("form_code", flat=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT jwt_secret FROM webhooks_webhook")
        stored = [each for (each,) in cursor.fetchall()]
    assert not [each for each in (*codes, *stored, vendor.key) if each and each in text]
    responses = []
    for row in files.rows(content, "webhooks.Attempt"):
        responses.append(base64.b64decode(row["response_body"]).decode())
        assert CANARY not in responses[-1]
        assert row["request_headers"] == {"X-Key": MASK, "Accept": "text/plain"}
    assert MASK in responses[0] and responses[1].startswith("[compressed")
    # An ordinary parameter of another product has the name of a password.
    for row in files.rows(content, "catalog.Asset"):
        assert [param["value"] for param in row["params"]] == [MASK, VISIBLE]
    [row] = [r for r in files.rows(content, "webhooks.Webhook") if r["id"] == secret.pk]
    assert row["jwt_secret"] is None
    assert row["headers"] == {"X-Key": None, "Accept": "text/plain"}


def test_import_makes_new_secrets_and_says_so(secret: Webhook, vendor: Caller) -> None:
    code = Request.objects.order_by("pk")[0].form_code
    answer = files.imported(vendor, save(vendor, "b"), name="c")
    assert secret.pk in answer["new_secrets"]["webhooks"]
    assert worlds.PLAIN in answer["new_secrets"]["products"]
    assert answer["headers"] == {secret.pk: ["X-Key"]}
    restore(vendor, "c")
    row = Webhook.objects.get(pk=secret.pk)
    assert row.jwt_secret.startswith("JWT-") and row.headers == {
        "X-Key": "",
        "Accept": "text/plain",
    }
    assert Asset.objects.all()[0].params[0]["value"] == MASK
    assert Request.objects.order_by("pk")[0].form_code not in ("", code)
    # Each has its own.
    codes = list(Request.objects.values_list("form_code", flat=True))
    assert len(set(codes)) == len(codes)


def audited() -> list[str]:
    """Return the accounts whose secrets are in files that somebody has exported."""
    rows = AuditEntry.objects.filter(action="webhook.reveal", object_type="snapshot")
    return list(rows.exclude(actor="").order_by("pk").values_list("account", flat=True))


def test_secrets_are_those_of_the_callers_webhooks(
    secret: Webhook, vendor: Caller, distributor: Caller
) -> None:
    save(vendor, "b")
    other = files.exported(distributor, "b", "?secrets=true")
    assert CANARY not in gzip.decompress(other).decode()
    assert audited() == [api.PROVIDER]
    content = files.exported(vendor, "b", "?secrets=true")
    assert audited() == [api.PROVIDER, api.VENDOR]
    [row] = [r for r in files.rows(content, "webhooks.Webhook") if r["id"] == secret.pk]
    assert row["jwt_secret"] == f"{CANARY}-secret"
    assert row["headers"]["X-Key"] == f"{CANARY}-header"
    # Only there.
    text = gzip.decompress(content).decode()
    assert text.count(f"{CANARY}-secret") == text.count(f"{CANARY}-header") == 1
    assert text.count(CANARY) == 2
    answer = files.imported(vendor, content, name="c")
    assert answer["headers"] == {} and secret.pk not in answer["new_secrets"]["webhooks"]
    restore(vendor, "c")
    row = Webhook.objects.get(pk=secret.pk)
    assert (row.jwt_secret, row.headers["X-Key"]) == (f"{CANARY}-secret", f"{CANARY}-header")


def test_numbers_of_the_file_are_not_given_again(saved: Rows, vendor: Caller) -> None:
    hook = worlds.webhook(vendor, "http://127.0.0.1:9/")
    ok(vendor.post(f"/notifications/webhooks/{hook['id']}/trigger", {}))
    content = files.changed(
        save(vendor, "b"),
        lambda lines: [
            files.column(lines, "webhooks.Delivery", "id", 5_000_000),
            files.column(lines, "webhooks.Event", "delivery_id", 5_000_000),
        ],
    )
    files.imported(vendor, content, name="c")
    restore(vendor, "c")
    delivery = Delivery.objects.create(webhook_id=hook["id"], created_at=datetime.now(UTC))
    assert delivery.pk > 5_000_000


def test_older_file_is_migrated(saved: Rows, secret: Webhook, vendor: Caller) -> None:
    def age(lines: files.Lines) -> None:
        lines[0]["migrations"]["webhooks"] = ["0014_no_responds_index"]
        start = files.place(lines, "webhooks.Attempt")
        place = lines[start]["columns"].index("error_class")
        for line in lines[start:]:
            if isinstance(line, dict) and "end" in line:
                break
            values = line["columns"] if isinstance(line, dict) else line
            del values[place]

    old = files.changed(save(vendor, "b"), age)
    answer = files.imported(vendor, old, name="c")
    assert answer["snapshot"]["usable"]
    assert answer["headers"] == {secret.pk: ["X-Key"]}
    restore(vendor, "c")
    assert plain(save(vendor, "d")) == plain(files.exported(vendor, "b"))
    # With a column that came later.
    unknown = files.changed(
        files.exported(vendor, "b"),
        lambda lines: lines[0]["migrations"].update(webhooks=["0014_no_responds_index"]),
    )
    api.refused(
        files.send(vendor, unknown, name="e"),
        400,
        "file: The table webhooks.Attempt has no column error_class.",
    )


def test_function_takes_any_binary_file(changed: Rows, vendor: Caller) -> None:
    with exporting.export("a") as file:
        imported = importing.import_file(io.BytesIO(file.read()), "c")
    assert imported.snapshot.name == "c"
