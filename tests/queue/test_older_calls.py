"""Requests of published clients of 2021 that Connect's current document does not have."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import make
from tests.api import Caller, caller, ids, refused

pytestmark = pytest.mark.django_db

READY = "TL-213-870-001"
REQUEST = "PR-5810-2277-4093-001"
TIER_REQUEST = "TCR-733-508-143-001"


def rendered(caller: Caller, template: str, request: str) -> tuple[int, str, str]:
    response: Any = Client().get(
        f"/public/v1/templates/{template}/render?request_id={request}",
        headers={"authorization": f"ApiKey {caller.key}"},
    )
    return response.status_code, response.headers["Content-Type"], response.content.decode()


def test_template_is_rendered_for_a_request(vendor: Caller, distributor: Caller) -> None:
    for party in (vendor, distributor):
        status, kind, text = rendered(party, READY, REQUEST)
        assert (status, kind) == (200, "text/markdown; charset=utf-8")
        assert "your subscription `AS-5810-2277-4093` is active" in text
        assert "{{" not in text


def test_template_requires_a_request_of_its_product(vendor: Caller, other: make.Catalog) -> None:
    path = f"/templates/{READY}/render"
    refused(vendor.get(path), 400, "request_id: Name the request that fills the template.")
    refused(vendor.get(f"{path}?request_id=PR-0"), 404, "Object `PR-0` not found.")
    of_suite = ids(vendor, "/requests?asset.product.id=PRD-362-917-440&limit=1")[0]
    refused(vendor.get(f"{path}?request_id={of_suite}"), 404, f"Object `{READY}` not found.")
    for account in (other.vendor, other.provider):
        refused(caller(account).get(f"{path}?request_id={REQUEST}"), 404)
    refused(Caller(None).get(f"{path}?request_id={REQUEST}"), 401)


def test_assignee_in_the_path_is_assigned(vendor: Caller, distributor: Caller) -> None:
    path = f"/requests/{ids(vendor, '/requests?status=pending&limit=1')[0]}"
    for name in ("UR-426-913-070", "maya.ortiz@nimbus.example.com"):
        vendor.post(f"{path}/unassign")
        response = vendor.post(f"{path}/assign/{name}")
        assert (response.status, response.json["assignee"]["name"]) == (200, "Maya Ortiz")
    # Only own users can be assigned, and only with an id.
    refused(distributor.post(f"{path}/assign/UR-426-913-070"), 404)
    refused(vendor.post(f"{path}/assign"), 400, "id: Name the user by id or by email.")


def test_a_tier_request_is_assigned_to_the_caller(vendor: Caller) -> None:
    path = f"/tier/config-requests/{TIER_REQUEST}"
    assert vendor.post(f"{path}/assign").status == 204
    assert vendor.get(path).json["assignee"]["id"].startswith("SU-")
    assert vendor.post(f"{path}/assign", {"id": "UR-426-913-070"}).status == 204
    assert vendor.get(path).json["assignee"]["name"] == "Maya Ortiz"


@pytest.mark.parametrize("name", ["asset.hub.id", "asset__hub__id"])
def test_requests_are_filtered_by_hub(vendor: Caller, name: str) -> None:
    everything = ids(vendor, "/requests?limit=1000")
    assert ids(vendor, f"/requests?{name}=HB-7710-3391&limit=1000") == everything
    assert ids(vendor, f"/requests?{name}=HB-0000-0000") == []
    assert ids(vendor, "/requests?like(asset.hub.name,*Hub)&limit=1000") == everything


@pytest.mark.parametrize("body", [{"attributes": {"vendor": {"n": 7}}}, {"vendor": {"n": 7}}])
def test_put_writes_attributes_of_a_billing_request(
    vendor: Caller, distributor: Caller, body: dict[str, Any]
) -> None:
    pk = ids(vendor, "/subscriptions/requests?type=vendor&limit=1")[0]
    path = f"/subscriptions/requests/{pk}"
    before = vendor.get(path).json
    response = vendor.put(path, {**body, "type": "provider", "period": {"delta": 9}})
    assert (response.status, response.json["attributes"]["vendor"]) == (200, {"n": 7})
    assert {**response.json, "attributes": 0, "events": 0} == {
        **before,
        "attributes": 0,
        "events": 0,
    }
    refused(distributor.put(path, {"vendor": {"n": 8}}), 403)
    refused(vendor.put(path, {"attributes": "x"}), 400, "attributes: Expected an object.")
    hidden = ids(distributor, "/subscriptions/requests?type=provider&limit=1")[0]
    refused(vendor.put(f"/subscriptions/requests/{hidden}", {"vendor": {}}), 404)


def test_a_listing_request_with_nested_names(vendor: Caller, distributor: Caller) -> None:
    listing = vendor.get("/listings?product.id=PRD-814-505-018").json[0]
    created = vendor.post("/listing-requests", {"type": "update", "listing": {"id": listing["id"]}})
    assert (created.status, created.json["listing"]["id"]) == (201, listing["id"])
    anew = {
        "type": "new",
        "product": {"id": "PRD-814-505-018"},
        "listing": {"contract": {"id": listing["contract"]["id"]}},
    }
    assert distributor.put(f"/listings/{listing['id']}", {"status": "unlisted"}).status == 200
    created = vendor.post("/listing-requests", anew)
    assert (created.status, created.json["type"]) == (201, "new")
    assert created.json["listing"]["contract"]["id"] == listing["contract"]["id"]
    for wrong in ({}, {"product": "x"}, {"product": {"id": 5}}):
        refused(vendor.post("/listing-requests", {**anew, "product": None, **wrong}), 400)
