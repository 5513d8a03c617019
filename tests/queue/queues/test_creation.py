"""Creation of objects of every queue: by whom, in which status, and with which events."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import Parameter
from tests.api import refused
from tests.queue import builders, tables
from tests.queue.platforms import (
    NOBODY,
    Change,
    Platform,
    check_notified,
    everything,
    latest,
    undone,
)
from tests.queue.tables import (
    BILLING,
    FULFILLMENT,
    LISTING,
    PATHS,
    TIER_ACCOUNT,
    TIER_CONFIG,
    USAGE,
)

pytestmark = pytest.mark.django_db

STRANGE_V, STRANGE_D = "stranger vendor", "stranger distributor"
# Types that can be drafts, with the required capability.
DRAFTS = {
    "purchase": {"cart": {"validation": False}},
    "change": {"subscription": {"change": {"validation": False}}},
    "renew": {"subscription": {"renew": {"validation": False}}},
    "transfer": {"subscription": {"transfer": {"validation": False}}},
}


def body_of(platform: Platform, kind: str) -> dict[str, Any]:
    if kind == "purchase":
        return builders.order(platform)
    status = "suspended" if kind == "resume" else "active"
    return builders.asset_request(builders.subscription(platform, status), kind)


def check_creation(
    platform: Platform, queue: str, body: dict[str, Any], created: dict[str, Any], responses: Any
) -> None:
    """Check who can create an object: its status by party, and the status of refusals."""
    before = everything()
    for actor, status in responses.items():
        assert platform.by[actor].post(PATHS[queue], body).status == status, (queue, body, actor)
    assert everything() == before
    for actor, (status, sides) in created.items():
        with undone():
            since = latest()
            row = platform.post(actor, PATHS[queue], body)
            if queue != BILLING:
                assert platform.status(queue, row["id"]) == status
                stored = platform.by[actor].get(f"{PATHS[queue]}/{row['id']}").json
                assert row == stored
            check_notified(
                platform, since, [Change(queue, row["id"], "", status, sides)] if sides else []
            )


@pytest.mark.parametrize("kind", tables.TYPES[FULFILLMENT])
def test_fulfillment_request_creates_an_event(platform: Platform, kind: str) -> None:
    body = body_of(platform, kind) | {
        "note": "A note",
        "external_attributes": {"order": [1, 2.5, None]},
        "planned_date": "2100-01-01T01:00:00.123456+02:00",
    }
    pending = ("pending", "VD")
    created = {"D": pending, "V": pending} if kind == "adjustment" else {"D": pending}
    missing = 400 if kind == "purchase" else 404
    responses = {STRANGE_D: missing, STRANGE_V: 404, NOBODY: 401}
    if kind != "adjustment":
        responses |= {"V": 403, STRANGE_V: 403}
    check_creation(platform, FULFILLMENT, body, created, responses)


@pytest.mark.parametrize("kind", DRAFTS)
def test_drafts_are_silent_and_need_their_capability(platform: Platform, kind: str) -> None:
    body = {**body_of(platform, kind), "status": "draft"}
    check_creation(platform, FULFILLMENT, body, {"D": ("draft", "")}, {"V": 403})
    platform.put("V", f"/products/{platform.product}", {"capabilities": DRAFTS[kind]})
    check_creation(platform, FULFILLMENT, body, {"D": ("pending", "VD")}, {})


def test_purchase_without_a_required_value_is_created_inquiring(platform: Platform) -> None:
    tier = builders.reseller("another")
    Parameter.objects.filter(name__endswith="_ask").update(constraints={"required": True})
    check_creation(platform, FULFILLMENT, builders.order(platform), {"D": ("inquiring", "VD")}, {})
    draft = builders.request(platform, "draft")
    assert platform.post("D", f"/requests/{draft}/purchase")["status"] == "inquiring"
    configuration = {"product": {"id": platform.product}, "account": tier, "tier_level": 1}
    body = {"type": "setup", "configuration": configuration}
    check_creation(platform, TIER_CONFIG, body, {"D": ("inquiring", "VD")}, {})


@pytest.mark.parametrize("kind", ["suspend", "resume"])
def test_suspend_without_the_capability_is_created_failed(platform: Platform, kind: str) -> None:
    body = body_of(platform, kind)
    off = {"capabilities": {"subscription": {"hold": False}}}
    platform.put("V", f"/products/{platform.product}", off)
    check_creation(platform, FULFILLMENT, body, {"D": ("failed", "VD")}, {"V": 403})
    created = platform.post("D", PATHS[FULFILLMENT], body)
    assert created["reason"] == "The product doesn't support suspend/resume operations."
    assert created["asset"]["status"] == ("active" if kind == "suspend" else "suspended")


@pytest.mark.parametrize("kind", ["renew", "transfer"])
def test_renewals_and_transfers_need_their_capability(platform: Platform, kind: str) -> None:
    body = body_of(platform, kind)
    off = {"capabilities": {"subscription": {kind: {f"enable_{kind}": False}}}}
    platform.put("V", f"/products/{platform.product}", off)
    check_creation(platform, FULFILLMENT, body, {}, {"D": 400})


def test_each_type_needs_its_asset_in_a_status_of_its_own(platform: Platform) -> None:
    for status in tables.ASSET_STATUSES:
        with undone():
            asset = builders.subscription(platform, status)
            assert platform.by["D"].get(f"/assets/{asset}").json["status"] == status
            before = everything()
            for kind in tables.TYPES[FULFILLMENT]:
                if kind == "purchase" or (kind, status) in {row[:2] for row in tables.ASSETS}:
                    continue
                response = platform.by["D"].post("/requests", builders.asset_request(asset, kind))
                if status in ("active", "suspended", "terminated"):
                    message = f"Request type {kind} is not allowed when asset state is {status}"
                    refused(response, 400, message)
                else:
                    # The request that caused the status is still open.
                    assert response.status == 409, (kind, status)
                    assert response.json["params"]["asset_status"] == status
            assert everything() == before


def test_tier_configuration_request_creates_an_event(platform: Platform) -> None:
    configuration = {
        "product": {"id": platform.product},
        "account": builders.reseller("another"),
        "tier_level": 1,
    }
    setup = {"type": "setup", "configuration": configuration}
    others = {STRANGE_D: 400, STRANGE_V: 403, NOBODY: 401}
    pending = ("pending", "VD")
    check_creation(platform, TIER_CONFIG, setup, {"D": pending}, {**others, "V": 403})
    check_creation(platform, TIER_CONFIG, {**setup, "status": "draft"}, {"D": ("draft", "")}, {})
    [config] = platform.by["V"].get("/tier/configs").json
    existing = {"configuration": {"id": config["id"]}}
    others = {STRANGE_D: 404, STRANGE_V: 404, NOBODY: 401}
    for kind in ("update", "adjustment"):
        check_creation(
            platform, TIER_CONFIG, {"type": kind, **existing}, {"V": pending, "D": pending}, others
        )
    draft = {"type": "update", "status": "draft", **existing}
    check_creation(platform, TIER_CONFIG, draft, {"V": pending, "D": ("draft", "")}, {})
    draft["type"] = "adjustment"
    check_creation(platform, TIER_CONFIG, draft, {"V": pending, "D": pending}, {})
    check_creation(platform, TIER_CONFIG, {"type": "setup", **existing}, {}, {"V": 403, "D": 400})


def test_tier_account_request_creates_an_event(platform: Platform) -> None:
    asset = platform.by["D"].get(f"/assets/{builders.subscription(platform)}").json
    account = {"id": asset["tiers"]["customer"]["id"], "name": "Renamed"}
    body = {"type": "update", "account": account}
    responses = {"V": 403, STRANGE_V: 403, STRANGE_D: 400, NOBODY: 401}
    check_creation(platform, TIER_ACCOUNT, body, {"D": ("pending", "VD")}, responses)
    off = {"capabilities": {"tiers": {"updates": False}}}
    platform.put("V", f"/products/{platform.product}", off)
    check_creation(platform, TIER_ACCOUNT, body, {"D": ("unsupported", "VD")}, {})


@pytest.mark.parametrize("kind", tables.TYPES[LISTING])
def test_listing_request_creates_an_event(platform: Platform, kind: str) -> None:
    body = builders.listing_body(platform, kind)
    responses = {"D": 403, STRANGE_D: 403, STRANGE_V: 400, NOBODY: 401}
    check_creation(platform, LISTING, body, {"V": ("draft", "")}, responses)


def test_usage_file_creates_an_event(platform: Platform) -> None:
    [contract] = platform.by["V"].get("/contracts").json
    body = {"name": "May", "product": {"id": platform.product}, "contract": contract}
    responses = {"D": 403, STRANGE_D: 403, STRANGE_V: 400, NOBODY: 401}
    check_creation(platform, USAGE, body, {"V": ("draft", "")}, responses)


def test_billing_request_and_its_attributes_create_events(platform: Platform) -> None:
    asset = builders.subscription(platform)
    period = {"from": "2026-10-01", "to": "2026-11-01", "delta": 1, "uom": "monthly"}
    body = {"asset": {"id": asset}, "items": [{"id": "SEAT"}], "period": period}
    created: dict[str, dict[str, Any]] = {"vendor": {"V": ("", "VD")}, "provider": {"D": ("", "D")}}
    for kind, by in created.items():
        other = "D" if kind == "vendor" else "V"
        responses = {other: 403, STRANGE_V: 403, STRANGE_D: 403, NOBODY: 401}
        responses[STRANGE_V if kind == "vendor" else STRANGE_D] = 400
        check_creation(platform, BILLING, {"type": kind, **body}, by, responses)
    for actor, kind, sides in (("V", "vendor", "VD"), ("D", "provider", "D")):
        pk = platform.post(actor, PATHS[BILLING], {"type": kind, **body})["id"]
        path = f"{PATHS[BILLING]}/{pk}"
        hidden = 404 if kind == "provider" else 200
        assert platform.by["V"].get(path).status == hidden
        listed = [row["id"] for row in platform.by["V"].get(PATHS[BILLING]).json]
        assert (pk in listed) is (kind == "vendor")
        for side, by in (("vendor", "V"), ("provider", "D")):
            if (by, kind) == ("V", "provider"):
                refused(platform.by["V"].put(f"{path}/attributes", {side: {"n": 1}}), 404)
                continue
            since = latest()
            # The second time nothing changes.
            for _ in range(2):
                platform.put(by, f"{path}/attributes", {side: {"n": 1}})
            check_notified(platform, since, [Change(BILLING, pk, "", "", sides)])
        before = everything()
        for by, status in {STRANGE_V: 404, STRANGE_D: 404, NOBODY: 401}.items():
            assert platform.by[by].put(f"{path}/attributes", {"vendor": {}}).status == status
        assert everything() == before


def test_vendor_orders_in_the_preview_environment(platform: Platform) -> None:
    connection = platform.catalog.connection
    connection.type = "preview"
    connection.save()
    pending = ("pending", "VD")
    body = builders.order(platform)
    responses = {STRANGE_V: 403, STRANGE_D: 400, NOBODY: 401}
    check_creation(platform, FULFILLMENT, body, {"V": pending, "D": pending}, responses)
    for kind in ("change", "suspend", "cancel"):
        with undone():
            body = body_of(platform, kind)
            responses = {STRANGE_V: 403, STRANGE_D: 404}
            check_creation(platform, FULFILLMENT, body, {"V": pending, "D": pending}, responses)
