"""`PUT /requests/{id}`: which fields of a request, and of a draft, can be changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from requests_queue.catalog.models import Product
from requests_queue.errors import Invalid
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation, editing
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import caller, refused

pytestmark = pytest.mark.django_db
DRAFTS = {"cart": {"validation": True}}


def test_a_distributor_replaces_a_draft() -> None:
    catalog = make.catalog(capabilities=DRAFTS)
    make.parameter(catalog, "region")
    row = creation.create(make.purchase(catalog, status="draft"), catalog.as_distributor)
    body = make.purchase(catalog)
    body["asset"]["items"][0]["quantity"] = 7
    body["asset"]["params"] = [{"id": "region", "value": "eu"}]
    body["asset"]["tiers"]["customer"] = {
        **copy.deepcopy(body["asset"]["tiers"]["customer"]),
        "name": "Another Cafe",
    }
    editing.edit(row.pk, body, catalog.as_distributor)
    row = Request.objects.select_related("asset__customer").get(pk=row.pk)
    assert row.status == "draft"
    assert [i["quantity"] for i in row.items] == ["7"] == [i["quantity"] for i in row.asset.items]
    assert [p["value"] for p in row.params] == ["eu"] == [p["value"] for p in row.asset.params]
    assert row.asset.customer.name == "Another Cafe"
    transitions.move(Request, row.pk, "purchase", catalog.as_distributor)
    row.refresh_from_db()
    assert row.status == "pending"


def test_items_of_a_submitted_order_cannot_be_edited(catalog: make.Catalog) -> None:
    row = creation.create(make.purchase(catalog), catalog.as_distributor)
    body = {"asset": {"items": [{"id": catalog.item.id, "quantity": 9}]}, "note": "hello"}
    editing.edit(row.pk, body, catalog.as_distributor)
    row.refresh_from_db()
    assert (row.items[0]["quantity"], row.note) == ("5", "hello")


def test_invalid_draft_changes_nothing() -> None:
    catalog = make.catalog(capabilities=DRAFTS)
    row = creation.create(make.purchase(catalog, status="draft"), catalog.as_distributor)
    with pytest.raises(Invalid):
        editing.edit(
            row.pk,
            {"note": "new", "asset": {"items": [{"id": "nothing", "quantity": 1}]}},
            catalog.as_distributor,
        )
    row.refresh_from_db()
    assert row.note == ""


NOT_NOW = (
    "Only pending, draft or inquiring Fulfillments with enabled validation capability can be "
    "updated"
)
CHANGES = {"change": {"inquiring_validation": True}}


@pytest.mark.parametrize(
    ("kind", "status", "capabilities", "is_allowed"),
    [
        ("purchase", "pending", {}, True),
        ("purchase", "inquiring", {}, False),
        ("purchase", "inquiring", {"inquiring": {"validation": True}}, True),
        # Not the validation of drafts, nor that of another type.
        ("purchase", "inquiring", {**DRAFTS, "subscription": CHANGES}, False),
        ("change", "inquiring", {"subscription": CHANGES}, True),
        ("change", "inquiring", {"inquiring": {"validation": True}}, True),
        ("cancel", "inquiring", {"inquiring": {"validation": True}}, True),
        ("purchase", "draft", DRAFTS, True),
        # The capability was switched off after the draft was created.
        ("purchase", "draft", {"inquiring": {"validation": True}}, False),
        ("change", "draft", {"subscription": {"change": {"validation": True}}}, True),
        ("cancel", "draft", DRAFTS, False),
        *(
            ("purchase", status, {**DRAFTS, "inquiring": {"validation": True}}, False)
            for status in ("scheduled", "tiers_setup", "revoking", "revoked", "approved", "failed")
        ),
    ],
)
def test_updates_need_the_capability_of_the_validation(
    catalog: make.Catalog, kind: str, status: str, capabilities: Any, is_allowed: bool
) -> None:
    row = make.order(catalog)
    Request.objects.update(status=status, type=kind)
    Product.objects.filter(pk=catalog.product.pk).update(capabilities=capabilities)
    for account, note in ((catalog.vendor, "by the vendor"), (catalog.provider, "by the other")):
        response = caller(account).put(f"/requests/{row.pk}", {"note": note})
        row.refresh_from_db()
        if is_allowed:
            assert (response.status, row.note) == (200, note)
        else:
            refused(response, 400, NOT_NOW)
            assert (response.json["error_code"], row.note) == ("REQ_001", "")


@pytest.mark.parametrize(
    ("status", "expected"), [("draft", 200), ("inquiring", 200), ("scheduled", 400)]
)
def test_setting_lets_all_drafts_and_inquiries_be_updated(
    catalog: make.Catalog, settings: Any, status: str, expected: int
) -> None:
    settings.SIM_REQUEST_UPDATES = "any"
    row = make.order(catalog)
    Request.objects.update(status=status)
    assert caller(catalog.vendor).put(f"/requests/{row.pk}", {"note": "x"}).status == expected


def test_validation_stores_answers_without_the_capability(catalog: make.Catalog) -> None:
    make.parameter(catalog, "region")
    row = make.order(catalog)
    Request.objects.update(status="inquiring")
    body = {"asset": {"params": [{"id": "region", "value": "eu"}]}}
    response = caller(catalog.provider).post(f"/requests/{row.pk}/validate", body)
    assert response.status == 200
    assert [p["value"] for p in response.json["asset"]["params"]] == ["eu"]


def test_parameter_that_was_added_after_the_order_can_be_set(catalog: make.Catalog) -> None:
    make.parameter(catalog, "region")
    row = creation.create(make.purchase(catalog), catalog.as_distributor)
    make.parameter(catalog, "tenant", phase="fulfillment")
    make.parameter(catalog, "unset")
    body = {"asset": {"params": [{"id": "tenant", "value": "t-1"}]}}
    with pytest.raises(Invalid, match="tenant"):
        editing.edit(row.pk, body, catalog.as_distributor)
    with pytest.raises(Invalid, match="unknown"):
        editing.edit(row.pk, {"asset": {"params": [{"id": "unknown"}]}}, catalog.as_vendor)
    editing.edit(row.pk, body, catalog.as_vendor)
    row = Request.objects.select_related("asset").get(pk=row.pk)
    values = [(param["id"], param["value"]) for param in row.params]
    assert values == [("region", ""), ("tenant", "t-1")]
    assert row.asset.params == row.params
