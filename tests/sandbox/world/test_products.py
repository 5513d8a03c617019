"""`/sandbox/products`: products that can be ordered at once."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue import ids
from requests_queue.catalog.models import Contract, Product
from sandbox.models import TimelineEntry
from tests.api import Caller, refused
from tests.sandbox import worlds

pytestmark = pytest.mark.django_db


def create(vendor: Caller, **body: Any) -> dict[str, Any]:
    response = vendor.post("/sandbox/products", body)
    assert response.status == 201, response
    return dict(response.json)


def order(distributor: Caller, product: dict[str, Any]) -> dict[str, Any]:
    """Order all items of the product."""
    items = [{"id": item["id"], "quantity": 5} for item in product["items"]]
    return worlds.purchase(distributor, product["id"], items=items)


def test_product_has_the_default_parts(vendor: Caller) -> None:
    product = create(vendor)
    assert [(i["mpn"], i["local_id"], i["type"]) for i in product["items"]] == [
        ("mailbox", "mailbox", "Reservation"),
        ("traffic", "traffic", "PPU"),
    ]
    assert [(p["name"], p["phase"], p["required"]) for p in product["params"]] == [
        ("domain", "ordering", False),
        ("activation_id", "fulfillment", True),
    ]
    assert {(t["scope"], t["type"]) for t in product["templates"]} == {
        (scope, kind)
        for scope in ("asset", "tier1", "tier2")
        for kind in ("inquire", "fulfillment", "pending")
    }
    row = Product.objects.get(pk=product["id"])
    assert row.status == "published"
    assert row.capability("subscription.hold") and row.capability("tiers.configs.level") == 2


def test_creation_takes_few_statements(vendor: Caller, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(40):
        create(vendor)
    templates = [{"scope": "asset", "type": "pending"}] * 100
    # Whether an id was used is asked for each.
    with django_assert_max_num_queries(140):
        create(vendor, templates=templates)


def test_version_is_what_was_created(vendor: Caller) -> None:
    product = create(vendor)
    path = f"/products/{product['id']}"
    assert vendor.put(path, {"name": "Renamed"}).status == 200
    [version] = vendor.get(f"{path}/versions").json
    assert (version["version"], version["status"], version["name"]) == (
        1,
        "published",
        product["name"],
    )
    items = vendor.get(f"{path}/versions/1/items").json
    assert [item["mpn"] for item in items] == ["mailbox", "traffic"]


def test_parts_keep_their_order_and_share_titles_of_units(vendor: Caller) -> None:
    product = create(
        vendor,
        items=[
            {"mpn": "a", "unit": {"id": "seat", "title": "Seats"}},
            {"mpn": "b", "unit": {"id": "seat"}},
        ],
        params=[
            {"name": "edition"},
            {"name": "region", "constraints": {"dependency": {"parameter": {"name": "edition"}}}},
        ],
        templates=[
            {"name": "last", "position": 900},
            {"name": "later"},
            {"name": "first", "position": 1},
        ],
    )
    assert [item["id"] for item in product["items"]] == [
        f"{product['id']}-0001",
        f"{product['id']}-0002",
    ]
    rows = Product.objects.get(pk=product["id"])
    assert [item.unit["title"] for item in rows.items.all()] == ["Seats", "Seats"]
    assert [param["name"] for param in product["params"]] == ["edition", "region"]
    assert [template["name"] for template in product["templates"]] == ["first", "last", "later"]


def test_id_of_a_template_that_is_taken_is_drawn_again(
    vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = create(vendor)["templates"][0]["id"]
    drawn = ["TL-000-000-001", "TL-000-000-001", taken, "TL-000-000-002"]
    draw = ids.draw
    monkeypatch.setattr(
        ids, "draw", lambda kind: drawn.pop(0) if kind == "template" and drawn else draw(kind)
    )
    templates = create(vendor, templates=[{"name": "a"}, {"name": "b"}])["templates"]
    assert not drawn and len({taken, *(each["id"] for each in templates)}) == 3


def test_product_is_ordered_and_approved_at_once(vendor: Caller, distributor: Caller) -> None:
    product = create(vendor)
    request = order(distributor, product)
    assert request["status"] == "pending"
    assert worlds.approve(vendor, request)["status"] == "approved"


def test_creation_changes_no_queue(vendor: Caller) -> None:
    before = TimelineEntry.objects.count()
    create(vendor)
    assert TimelineEntry.objects.count() == before


def test_parts_that_are_given_replace_the_default_ones(vendor: Caller, distributor: Caller) -> None:
    product = create(
        vendor,
        name="Mail",
        items=[{"mpn": "M-1", "local_id": "seat", "period": "Yearly"}],
        params=[
            {"name": "region", "type": "dropdown", "constraints": {"choices": ["eu", "us"]}},
            {"name": "agreement", "scope": "tier1", "constraints": {"required": True}},
        ],
        templates=[{"scope": "asset", "type": "fulfillment", "body": "Done"}],
        capabilities={"subscription": {"hold": False}},
    )
    assert product["name"] == "Mail"
    assert [(i["mpn"], i["local_id"], i["period"]) for i in product["items"]] == [
        ("M-1", "seat", "Yearly")
    ]
    assert [(p["name"], p["title"], p["scope"]) for p in product["params"]] == [
        ("region", "region", "asset"),
        ("agreement", "agreement", "tier1"),
    ]
    assert len(product["templates"]) == 1
    row = Product.objects.get(pk=product["id"])
    assert not row.capability("subscription.hold")
    assert row.capability("subscription.change.validation")
    # The reseller is set up first.
    assert order(distributor, product)["status"] == "tiers_setup"


def test_empty_parts_are_not_taken_for_the_default_ones(vendor: Caller) -> None:
    product = create(vendor, items=[], params=[], templates=[])
    assert (product["items"], product["params"], product["templates"]) == ([], [], [])


def test_product_is_shown_to_its_parties_as_it_was_created(
    vendor: Caller, distributor: Caller, other: Any
) -> None:
    product = create(vendor)
    path = f"/sandbox/products/{product['id']}"
    assert vendor.get(path).json == product
    assert distributor.get(path).json == product
    refused(vendor.get("/sandbox/products/PRD-000-000-001"), 404)


def test_distributor_cannot_create_products(distributor: Caller) -> None:
    refused(distributor.post("/sandbox/products", {}), 403)


def test_vendor_without_contract_is_refused(vendor: Caller) -> None:
    Contract.objects.update(status="terminated")
    response = vendor.post("/sandbox/products", {})
    assert response.status == 400
    assert "no active contract" in response.json["errors"][0]
    assert not Product.objects.filter(name="Test product").exists()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"items": {}}, "items"),
        ({"items": ["mailbox"]}, "items.0"),
        ({"items": [{"mpn": "a"}, {}]}, "items.1.mpn"),
        ({"items": [{"mpn": "a", "type": "rent"}]}, "items.0.type"),
        ({"items": [{"mpn": "a"}, {"mpn": "a", "name": "b"}]}, "items.1.mpn"),
        ({"items": [{"mpn": "a", "local_id": "x"}, {"mpn": "b", "local_id": "x"}]},
         "items.1.local_id"),
        ({"items": [{"mpn": "a", "type": "PPU", "period": "Yearly"}]}, "items.0.period"),
        ({"params": [{}]}, "params.0.name"),
        ({"params": [{"name": "a b"}]}, "params.0.name"),
        ({"params": [{"name": "a"}, {"name": "a"}]}, "params.1.name"),
        ({"params": [{"name": "a", "type": "dropdown"}]}, "params.0.constraints.choices"),
        ({"templates": [{"scope": "tier9"}]}, "templates.0.scope"),
        ({"capabilities": {"subscription": {"hold": "yes"}}}, "capabilities.subscription.hold"),
        ({"capabilities": {"teleport": True}}, "capabilities.teleport"),
        ({"name": []}, "name"),
        ({"parameters": []}, "parameters"),
        ({"itemz": None}, "itemz"),
    ],
)  # fmt: skip
def test_invalid_body_is_refused_and_creates_nothing(
    vendor: Caller, body: dict[str, Any], path: str
) -> None:
    before = Product.objects.count()
    response = vendor.post("/sandbox/products", body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001"), response
    assert any(error.startswith(f"{path}: ") for error in response.json["errors"]), response
    assert Product.objects.count() == before
