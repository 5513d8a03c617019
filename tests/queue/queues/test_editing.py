"""`PUT /requests/{id}`: which fields of a request, and of a draft, can be changed."""

from __future__ import annotations

import copy

import pytest

from requests_queue.errors import Invalid
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation, editing
from requests_queue.queues.fulfillment.models import Request
from tests import make

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
