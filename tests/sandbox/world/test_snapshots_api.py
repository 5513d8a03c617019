"""`/sandbox/snapshots` and `/sandbox/reset` as an API: names, conflicts, differences, errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from requests_queue.catalog.models import Account, Configuration, Parameter
from requests_queue.redaction import MASK
from sandbox.timeline import call_storage
from sandbox.world import snapshots
from tests import api
from tests.api import Caller, refused
from tests.sandbox import worlds
from tests.sandbox.worlds import Rows, approve, ok, purchase, webhook
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a-secret-value-of-a-password"
NOW = datetime.now(UTC)


def test_life_of_a_snapshot(saved: Rows, vendor: Caller) -> None:
    created = vendor.post("/sandbox/snapshots", {"name": "a.b-c_1"})
    assert created.status == 201
    assert created.json.keys() == {"name", "created", "now", "usable"}
    refused(
        vendor.post("/sandbox/snapshots", {"name": "a.b-c_1"}),
        409,
        "The snapshot a.b-c_1 exists already. Use another name, or replace it.",
    )
    assert vendor.post("/sandbox/snapshots", {"name": "a.b-c_1", "replace": True}).status == 201
    assert [each["name"] for each in ok(vendor.get("/sandbox/snapshots"))] == ["a.b-c_1", "seed"]
    assert vendor.post("/sandbox/snapshots/a.b-c_1/restore").status == 200
    for response in (
        vendor.delete("/sandbox/snapshots/a.b-c"),
        vendor.get("/sandbox/snapshots/a.b-c/diff/now"),
    ):
        refused(response, 404, "Object `a.b-c` not found. Did you mean a.b-c_1?")
    assert vendor.delete("/sandbox/snapshots/a.b-c_1").status == 204
    assert vendor.delete("/sandbox/snapshots/a.b-c_1").status == 404
    assert vendor.post("/sandbox/snapshots/a.b-c_1/restore").status == 404
    assert vendor.get("/sandbox/snapshots/a.b-c_1/diff/now").status == 404


def test_reserved_names_and_methods(saved: Rows, vendor: Caller) -> None:
    refused(vendor.delete("/sandbox/snapshots/seed"), 400, "name: The name seed is reserved.")
    refused(vendor.post("/sandbox/snapshots/now/restore"), 400, "name: The name now is reserved.")
    assert vendor.get("/sandbox/reset").status == 405


def test_differences_by_field(saved: Rows, vendor: Caller, distributor: Caller) -> None:
    unchanged = ok(vendor.get("/sandbox/snapshots/seed/diff/seed"))
    assert unchanged == {"added": [], "removed": [], "changed": [], "truncated": False}
    hook = webhook(vendor, "http://127.0.0.1:9/", headers={"X-Key": SECRET})
    request = purchase(distributor)
    parameters = list(Parameter.objects.filter(product=worlds.PLAIN).order_by("pk")[:2])
    Parameter.objects.filter(pk=parameters[0].pk).update(type="password")
    values = [
        Configuration.objects.create(
            product_id=worlds.PLAIN, parameter=each, value="before", created=NOW, updated=NOW
        )
        for each in parameters
    ]
    ok(vendor.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    Parameter.objects.filter(pk=parameters[0].pk).update(default=SECRET)
    Configuration.objects.filter(pk=values[0].pk).update(value=SECRET)
    Configuration.objects.filter(pk=values[1].pk).update(value="after")
    approve(vendor, request)
    Webhook.objects.filter(pk=hook["id"]).update(label="L" * 90)
    row = Webhook.objects.get(pk=hook["id"])
    row.jwt_secret, row.headers = SECRET, {"X-Key": "other"}
    row.save()
    params = [{"id": "p", "type": "password", "value": SECRET}, {"id": "q", "value": "shown"}]
    other = Account.objects.get(pk=api.PROVIDER)
    other.name = "Renamed"
    other.save()
    diff = ok(vendor.get("/sandbox/snapshots/a/diff/now"))
    fields = {each["id"]: each["fields"] for each in diff["changed"]}
    assert fields[request["id"]]["status"] == {"a": "pending", "b": "approved"}
    assert fields[api.PROVIDER] == {"name": {"a": "Northland Distribution", "b": "Renamed"}}
    assert fields[hook["id"]]["jwt_secret"] == fields[hook["id"]]["headers"]
    assert fields[hook["id"]]["jwt_secret"] == {"a": MASK, "b": MASK}
    assert SECRET not in json.dumps(diff)
    kind = Configuration._meta.label_lower
    changed = {each["id"]: each["fields"] for each in diff["changed"] if each["type"] == kind}
    assert [changed[str(each.pk)]["value"] for each in values] == [
        {"a": MASK, "b": MASK},
        {"a": "before", "b": "after"},
    ]
    masked = call_storage.without_passwords(json.dumps(params))
    assert json.loads(masked) == [{**params[0], "value": MASK}, params[1]]
    # In the other direction, and of what only one has.
    back = ok(vendor.get("/sandbox/snapshots/now/diff/seed"))
    removed = {(each["type"], each["id"]) for each in back["removed"]}
    assert {("webhooks.webhook", hook["id"]), ("fulfillment.request", request["id"])} <= removed
    added = ok(vendor.get("/sandbox/snapshots/seed/diff/now"))["added"]
    assert {(each["type"], each["id"]) for each in added} == removed
    assert worlds.PLAIN not in fields


def test_differences_are_bounded(
    saved: Rows, vendor: Caller, distributor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase(distributor)
    monkeypatch.setattr(snapshots, "MAX_OBJECTS", 3)
    diff = ok(vendor.get("/sandbox/snapshots/seed/diff/now"))
    assert diff["truncated"]
    assert sum(len(diff[name]) for name in ("added", "removed", "changed")) == 3
