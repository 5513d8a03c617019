"""The preview environment: a vendor orders its own product, and nobody else sees the order."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Connection
from requests_queue.queues.tier_config.models import TierConfig
from tests import make
from tests.api import Caller, caller, ids, refused
from tests.contract import routes
from webhooks.models import Event

pytestmark = pytest.mark.django_db

CONNECTION, CONTRACT = "CT-0000-0000-0000", "CRD-00000-00000-00000"
HUB, MARKETPLACE = "HB-0000-0000", "MP-00000"
BACKUP, SUITE, METER = "PRD-814-505-018", "PRD-362-917-440", "PRD-590-284-731"


def tier(name: str, uid: str = "") -> dict[str, Any]:
    """Return a tier account as orders name a new one."""
    return {
        "name": name,
        "external_uid": uid,
        "contact_info": {
            "address_line1": "1 Quay Street",
            "city": "Galway",
            "postal_code": "H91 X2C4",
            "country": "IE",
            "contact": {
                "first_name": "Ada",
                "last_name": "Ray",
                "email": "ada@example.com",
            },
        },
    }


def order(product: str | None = BACKUP, **asset: Any) -> dict[str, Any]:
    """Return the body of a preview order."""
    named = {"product": {"id": product}} if product else {}
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": CONNECTION, "type": "preview"},
            "items": [{"id": f"{product or BACKUP}-0001", "quantity": 2}],
            "tiers": {"customer": tier("Harbor Cafe"), "tier1": tier("Portland Resellers")},
            **named,
            **asset,
        },
    }


def placed(vendor: Caller, body: dict[str, Any] | None = None) -> Any:
    """Place a preview order and return it."""
    response = vendor.post("/requests", body or order())
    assert response.status == 201, response
    return response.json


def test_vendor_orders_its_own_product_and_sees_the_placeholders(vendor: Caller) -> None:
    request = placed(vendor)
    asset = request["asset"]
    assert (asset["connection"]["id"], asset["connection"]["type"]) == (CONNECTION, "preview")
    assert asset["connection"]["hub"]["id"] == HUB
    assert asset["connection"]["vendor"]["id"] == asset["connection"]["provider"]["id"]
    assert asset["connection"]["vendor"]["id"] == "VA-610-138"
    assert asset["contract"]["id"] == request["contract"]["id"] == CONTRACT
    assert asset["marketplace"]["id"] == request["marketplace"]["id"] == MARKETPLACE
    assert asset["tiers"]["customer"]["name"] == "Harbor Cafe"
    assert asset["product"]["id"] == BACKUP
    shown = vendor.get(f"/requests/{request['id']}").json
    assert shown["asset"]["connection"] == asset["connection"]
    assert vendor.get(f"/assets/{asset['id']}").json["connection"]["id"] == CONNECTION


def test_placeholders_are_read_by_the_vendor_that_ordered(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    paths = [
        f"/hubs/{HUB}",
        f"/marketplaces/{MARKETPLACE}",
        f"/contracts/{CONTRACT}",
        f"/products/{BACKUP}/connections/{CONNECTION}",
    ]
    for path in paths:
        refused(vendor.get(path), 404)
    placed(vendor)
    for path in paths:
        response = vendor.get(path)
        assert (response.status, response.json["id"]) == (200, path.rpartition("/")[2])
        for stranger in (distributor, caller(other.vendor)):
            refused(stranger.get(path), 404)
        refused(
            vendor.put(path, {"type": "test", "name": "Mine"}),
            *((405,) if path == paths[2] else (404,)),
        )
    assert vendor.get(paths[1]).json["currency"] == "USD"
    refused(vendor.post(f"{paths[2]}/terminate"), 404)
    refused(vendor.get(f"/products/{SUITE}/connections/{CONNECTION}"), 404)


def test_product_is_known_by_its_items_or_has_to_be_named(vendor: Caller) -> None:
    assert placed(vendor, order(None))["asset"]["product"]["id"] == BACKUP
    body = order(None, items=[{"id": "SKU_SEAT", "quantity": 1}])
    refused(vendor.post("/requests", body), 400, "asset.product.id: This field is required.")
    for items in ("SKU_SEAT", [7], [{"id": []}], None):
        refused(vendor.post("/requests", order(None, items=items)), 400)
    with_product = order(items=[{"id": "SKU_SEAT", "quantity": 1}])
    assert placed(vendor, with_product)["asset"]["product"]["id"] == BACKUP


def test_only_the_owner_of_a_product_previews_it(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    message = f"asset.product.id: Product {BACKUP} does not exist."
    refused(caller(other.vendor).post("/requests", order()), 400, message)
    message = f"asset.connection.id: Connection {CONNECTION} does not exist."
    refused(distributor.post("/requests", order()), 400, message)
    refused(vendor.post("/requests", order("PRD-000-000-001")), 400)
    # The placeholder's row has an internal identifier that bodies cannot use.
    placed(vendor)
    row = Connection.objects.get(public_id=CONNECTION)
    refused(vendor.post("/requests", order(connection={"id": row.pk})), 400)


def test_vendor_takes_the_actions_of_both_parties(vendor: Caller) -> None:
    request = placed(vendor)
    path = f"/requests/{request['id']}"
    body = {"asset": {"params": [{"id": "activation_id", "value": "NB-1"}]}}
    assert vendor.put(path, body).status == 200
    assert vendor.post(f"{path}/approve").json["status"] == "approved"
    asset = request["asset"]["id"]
    assert vendor.get(f"/assets/{asset}").json["status"] == "active"
    change = {
        "type": "change",
        "asset": {"id": asset, "items": [{"id": f"{BACKUP}-0001", "quantity": 9}]},
    }
    changed = vendor.post("/requests", change)
    assert changed.status == 201, changed
    assert vendor.post(f"/requests/{changed.json['id']}/fail", {"reason": "No."}).status == 200
    cancelled = vendor.post("/requests", {"type": "cancel", "asset": {"id": asset}})
    assert cancelled.status == 201, cancelled
    assert vendor.post(f"/requests/{cancelled.json['id']}/approve").status == 200
    assert vendor.get(f"/assets/{asset}").json["status"] == "terminated"


def test_draft_in_preview_is_edited_and_purchased_by_the_vendor(vendor: Caller) -> None:
    draft = placed(vendor, {**order(SUITE), "status": "draft"})
    assert draft["status"] == "draft"
    body = {"asset": {"items": [{"id": f"{SUITE}-0001", "quantity": 7}]}}
    assert vendor.put(f"/requests/{draft['id']}", body).json["asset"]["items"][0]["quantity"] == "7"
    bought = vendor.post(f"/requests/{draft['id']}/purchase")
    assert bought.status == 200, bought
    assert bought.json["status"] in ("pending", "inquiring", "tiers_setup")


def test_sandbox_acts_on_a_preview_order_as_either_party(
    vendor: Caller, distributor: Caller
) -> None:
    draft = placed(vendor, {**order(SUITE), "status": "draft"})
    body = {"id": draft["id"], "action": "purchase", "data": {}}
    refused(distributor.post("/sandbox/queue/moves", body), 404)
    assert vendor.post("/sandbox/queue/moves", body).status == 200
    assert vendor.get(f"/requests/{draft['id']}").json["status"] != "draft"


def test_vendor_does_no_distributor_action_outside_preview(
    vendor: Caller, distributor: Caller
) -> None:
    placed(vendor)
    [scheduled, *_] = ids(distributor, "/requests?ne(asset.connection.type,preview)&limit=1")
    refused(vendor.post(f"/requests/{scheduled}/purchase"), 403, "purchase is not for a vendor.")
    [record, *_] = ids(distributor, "/usage/records?limit=1")
    refused(vendor.post("/usage/records/close-records", [{"id": record}]), 403)
    refused(vendor.post(f"/usage/records/{record}/close", {}), 403)
    [account, *_] = ids(distributor, "/tier/accounts?limit=1")
    refused(vendor.put(f"/tier/accounts/{account}", {"name": "Mine"}), 403)
    body = {"type": "update", "account": {"id": account, "name": "Mine"}}
    refused(vendor.post("/tier/account-requests", body), 400)
    refused(vendor.post("/requests", {"type": "change", "asset": {"id": "AS-0000-0000-0001"}}), 404)


QUERIES = (
    f"eq(asset.connection.id,{CONNECTION})", "eq(asset.connection.id,null())",
    "eq(asset.connection.type,preview)", "asset.connection.type=preview",
    f"asset.connection.id={CONNECTION}", f"in(asset.connection.id,({CONNECTION},CT-1))",
    f"like(asset.connection.id,{CONNECTION[:9]}*)", f"eq(asset.connection.hub.id,{HUB})",
    "eq(asset.connection.hub.id,null())", "eq(asset.hub.id,null())",
    "eq(asset.marketplace.id,null())", f"eq(marketplace.id,{MARKETPLACE})",
    "eq(contract.id,null())", f"eq(asset.contract.id,{CONTRACT})",
    "and(in(asset.connection.type,(preview)),in(status,(pending,inquiring)))",
)  # fmt: skip


def test_queries_find_preview_orders_by_placeholder_and_by_null(vendor: Caller) -> None:
    request = placed(vendor)
    everything = set(ids(vendor, "/requests?limit=1000"))
    for query in QUERIES:
        assert ids(vendor, f"/requests?{query}") == [request["id"]], query
    for query in (
        "ne(asset.connection.id,null())",
        f"ne(asset.connection.id,{CONNECTION})",
        f"out(asset.connection.id,({CONNECTION}))",
        "not(eq(asset.connection.id,null()))",
        "ne(asset.connection.hub.id,null())",
        "ne(asset.contract.id,null())",
    ):
        assert set(ids(vendor, f"/requests?{query}&limit=1000")) == everything - {request["id"]}
    # The internal identifier of the row cannot be used in queries.
    assert ids(vendor, "/requests?like(asset.connection.id,*814*)") == []
    asset = request["asset"]["id"]
    for query in (
        f"eq(connection.id,{CONNECTION})",
        "eq(connection.id,null())",
        "eq(marketplace.id,null())",
        "eq(connection.type,preview)",
    ):
        assert ids(vendor, f"/assets?{query}") == [asset], query
        assert ids(vendor, f"/subscriptions/assets?{query}") == [asset], query


def test_preview_is_seen_by_its_vendor_alone(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    stranger, other_provider = caller(other.vendor), caller(other.provider)
    before = {
        name: _lists(each)
        for name, each in (("d", distributor), ("v", stranger), ("p", other_provider))
    }
    request = placed(vendor)
    assert placed(vendor, order(SUITE))["status"] in ("tiers_setup", "inquiring", "pending")
    after = {
        name: _lists(each)
        for name, each in (("d", distributor), ("v", stranger), ("p", other_provider))
    }
    assert after == before
    for each in (distributor, stranger, other_provider):
        refused(each.get(f"/requests/{request['id']}"), 404)
        refused(each.get(f"/assets/{request['asset']['id']}"), 404)
        refused(each.post(f"/requests/{request['id']}/approve"), 404)
        refused(each.get(f"/tier/accounts/{request['asset']['tiers']['customer']['id']}"), 404)


def _lists(caller: Caller) -> dict[str, list[Any]]:
    lists = {}
    for path in sorted(routes.collections()):
        response = caller.get(f"{path}?limit=1000")
        if response.status == 200 and isinstance(response.json, list):
            lists[path] = [row.get("id") for row in response.json]
    return lists


def test_placeholders_are_in_no_list(vendor: Caller, other: make.Catalog) -> None:
    lists = (
        "/hubs",
        "/marketplaces",
        "/contracts",
        "/agreements",
        "/listings",
        f"/products/{BACKUP}/connections",
    )
    before = [ids(vendor, path) for path in lists]
    placed(vendor)
    assert [ids(vendor, path) for path in lists] == before
    # Vendors share the placeholders, but not the orders.
    other_provider = caller(other.vendor)
    product = other.product
    body = order(product.pk, items=[{"id": product.items.first().pk, "quantity": 1}])
    placed(other_provider, body)
    assert len(ids(other_provider, "/requests?eq(asset.connection.id,null())")) == 1
    assert len(ids(vendor, "/requests?eq(asset.connection.id,null())")) == 1


def test_event_webhooks_of_the_vendor_fire_once_for_a_preview_order(
    vendor: Caller, distributor: Caller
) -> None:
    hook = {
        "label": "Orders",
        "product_id": BACKUP,
        "object_class": "fulfillment_request",
        "external_url": "http://127.0.0.1:9/hook",
        "jwt_secret": "s" * 40,
        "active": True,
    }
    own = vendor.post("/notifications/webhooks", hook)
    of_provider = distributor.post("/notifications/webhooks", hook)
    assert own.status == of_provider.status == 201, (own, of_provider)
    events = Event.objects.filter(object_id=placed(vendor)["id"])
    assert list(events.values_list("webhook", flat=True)) == [own.json["id"]]


def test_conversation_of_a_preview_order_is_the_vendors(vendor: Caller) -> None:
    [conversation] = vendor.get(f"/conversations?instance_id={placed(vendor)['id']}").json
    assert [row["id"] for row in conversation["accounts"]] == ["VA-610-138"]
    path = f"/conversations/{conversation['id']}/messages"
    assert vendor.post(path, {"text": "Hello.", "type": "message"}).status == 201


def test_tier_configurations_are_set_up_by_the_vendor_in_preview(vendor: Caller) -> None:
    request = placed(vendor, order(SUITE))
    config = TierConfig.objects.filter(connection__public_id=CONNECTION).first()
    assert config is not None, request["status"]
    pks = ids(vendor, "/tier/config-requests?eq(configuration.connection.id,null())")
    assert pks
    assert pks == ids(vendor, f"/tier/config-requests?configuration.connection.id={CONNECTION}")
    shown = vendor.get(f"/tier/config-requests/{pks[0]}").json
    assert shown["configuration"]["connection"]["id"] == CONNECTION
    assert shown["configuration"]["marketplace"]["id"] == MARKETPLACE
    for pk in pks:
        response = vendor.post(f"/tier/config-requests/{pk}/fail", {"reason": "A test."})
        assert response.status in (204, 400), response
    [pk] = ids(vendor, f"/requests?eq(id,{request['id']})")
    assert vendor.get(f"/requests/{pk}").json["status"] == "failed"


def test_tier_configuration_request_is_created_by_the_vendor_in_preview(
    vendor: Caller, distributor: Caller
) -> None:
    configuration = {
        "product": {"id": SUITE},
        "tier_level": 1,
        "account": tier("Atlantic Resellers", "atl-1"),
    }
    body = {"type": "setup", "configuration": configuration, "params": []}
    refused(vendor.post("/tier/config-requests", body), 403)
    configuration["connection"] = {"id": CONNECTION}
    created = vendor.post("/tier/config-requests", body)
    assert created.status == 201, created
    assert created.json["configuration"]["connection"]["type"] == "preview"
    refused(distributor.post("/tier/config-requests", body), 400)
    refused(distributor.get(f"/tier/config-requests/{created.json['id']}"), 404)


def test_tier_accounts_of_preview_are_changed_by_the_vendor(
    vendor: Caller, distributor: Caller
) -> None:
    customer = placed(vendor, order(SUITE))["asset"]["tiers"]["customer"]["id"]
    shown = vendor.get(f"/tier/accounts/{customer}").json
    assert (shown["owner"]["id"], shown["hub"]["id"]) == ("VA-610-138", HUB)
    assert shown["environment"] == "preview"
    assert ids(vendor, "/tier/accounts?eq(hub.id,null())&eq(type,customer)") == [customer]
    # A distributor's account with the same uid is a different account.
    body = {"type": "update", "account": {"id": customer, "name": "Harbor Cafe II"}}
    created = vendor.post("/tier/account-requests", body)
    assert created.status == 201, created
    refused(distributor.get(f"/tier/account-requests/{created.json['id']}"), 404)
    assert vendor.put(f"/tier/accounts/{customer}", {"name": "Harbor Cafe III"}).status == 200
    refused(vendor.post("/tier/accounts", tier("New")), 403)


def test_usage_of_preview_is_reported_and_accepted_by_the_vendor(vendor: Caller) -> None:
    placed(vendor, order(METER))
    body = {"name": "May", "product": {"id": METER}, "contract": {"id": CONTRACT}}
    created = vendor.post("/usage/files", body)
    assert (created.status, created.json["environment"]) == (201, "preview"), created
    assert created.json["provider"]["id"] == created.json["vendor"]["id"] == "VA-610-138"
    assert ids(vendor, "/usage/files?eq(contract.id,null())") == [created.json["id"]]
    assert vendor.post(f"/usage/files/{created.json['id']}/delete").status == 200
