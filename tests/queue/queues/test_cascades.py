"""Changes that one queue causes in other objects happen, and create events, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.catalog.models import Asset, Parameter
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.models import TierConfigRequest
from requests_queue.queues.usage_file import processing
from requests_queue.tasks import run_due
from tests.engines import move_clock
from tests.queue import builders, tables
from tests.queue.platforms import Change, Platform, check_notified, latest, undone
from tests.queue.tables import (
    BILLING,
    FULFILLMENT,
    PATHS,
    TIER_ACCOUNT,
    TIER_CONFIG,
    USAGE,
)

pytestmark = pytest.mark.django_db

BECAUSE = {"reason": "Because."}


def asset_of(pk: str) -> str:
    return Asset.objects.get(requests=pk).status


def two_orders(platform: Platform) -> tuple[str, str, str]:
    """Order twice through one unconfigured reseller; return the orders and the setup request."""
    since = latest()
    first, second = (builders.request(platform, "tiers_setup") for _ in range(2))
    tier = TierConfigRequest.objects.get(status="pending").pk
    check_notified(
        platform,
        since,
        [
            Change(FULFILLMENT, first, "", "tiers_setup"),
            Change(TIER_CONFIG, tier, "", "pending"),
            Change(FULFILLMENT, second, "", "tiers_setup"),
        ],
    )
    return first, second, tier


@pytest.mark.parametrize(
    ("actor", "verb", "ends", "goes_on", "asset"),
    [
        ("V", "approve", "approved", "pending", "processing"),
        ("V", "fail", "failed", "failed", "terminated"),
        ("D", "fail", "failed", "failed", "terminated"),
    ],
)
def test_orders_wait_for_the_setup_of_a_reseller(
    platform: Platform, actor: str, verb: str, ends: str, goes_on: str, asset: str
) -> None:
    first, second, tier = two_orders(platform)
    since = latest()
    platform.post(actor, f"{PATHS[TIER_CONFIG]}/{tier}/{verb}", builders.body_of(verb))
    check_notified(
        platform,
        since,
        [
            Change(TIER_CONFIG, tier, "pending", ends),
            Change(FULFILLMENT, first, "tiers_setup", goes_on),
            Change(FULFILLMENT, second, "tiers_setup", goes_on),
        ],
    )
    assert asset_of(first) == asset_of(second) == asset
    config = platform.by["V"].get(f"{PATHS[TIER_CONFIG]}/{tier}").json["configuration"]
    assert config["status"] == "active"
    # Connect sets a reseller up only once.
    body = builders.order(platform, builders.reseller("new"))
    assert platform.post("D", "/requests", body)["status"] == "pending"


def test_released_order_may_become_inquiring(platform: Platform) -> None:
    Parameter.objects.filter(name="asset_ask").update(constraints={"required": True})
    order = builders.request(platform, "tiers_setup")
    tier = TierConfigRequest.objects.get(status="pending").pk
    since = latest()
    platform.post("V", f"{PATHS[TIER_CONFIG]}/{tier}/approve")
    check_notified(
        platform,
        since,
        [
            Change(TIER_CONFIG, tier, "pending", "approved"),
            Change(FULFILLMENT, order, "tiers_setup", "inquiring"),
        ],
    )


@pytest.mark.parametrize("verb", ["approve", "fail"])
def test_orders_wait_for_the_upper_tier(platform: Platform, verb: str) -> None:
    since = latest()
    body = builders.order(platform, builders.reseller("below"))
    body["asset"]["tiers"]["tier2"] = builders.reseller("above")
    order = platform.post("D", "/requests", body)["id"]
    above, below = (
        TierConfigRequest.objects.get(configuration__account__name=name).pk
        for name in ("above", "below")
    )
    check_notified(
        platform,
        since,
        [
            Change(FULFILLMENT, order, "", "tiers_setup"),
            Change(TIER_CONFIG, above, "", "pending"),
            Change(TIER_CONFIG, below, "", "tiers_setup"),
        ],
    )
    since = latest()
    platform.post("V", f"{PATHS[TIER_CONFIG]}/{above}/{verb}", builders.body_of(verb))
    ends, goes_on = ("approved", "pending") if verb == "approve" else ("failed", "failed")
    changes = [
        Change(TIER_CONFIG, above, "pending", ends),
        Change(TIER_CONFIG, below, "tiers_setup", goes_on),
    ]
    if verb == "fail":
        changes.append(Change(FULFILLMENT, order, "tiers_setup", "failed"))
        assert TierConfigRequest.objects.get(pk=below).reason == "Because."
    check_notified(platform, since, changes)


def test_upper_tier_is_the_first_one_named(platform: Platform) -> None:
    """A draft and an order name different upper tiers: the first one is set up, too."""
    tier = builders.reseller("below")
    configuration = {"account": tier, "parent_account": builders.reseller("first")}
    builders.create_config_request(platform, "setup", configuration=configuration, status="draft")
    since = latest()
    body = builders.order(platform, tier)
    body["asset"]["tiers"]["tier2"] = builders.reseller("second")
    order = platform.post("D", "/requests", body)["id"]
    requests = {
        row.configuration.account.name: row
        for row in TierConfigRequest.objects.exclude(status__in=("approved", "draft"))
    }
    check_notified(
        platform,
        since,
        [
            Change(FULFILLMENT, order, "", "tiers_setup"),
            *(Change(TIER_CONFIG, row.pk, "", row.status) for row in requests.values()),
        ],
    )
    assert {name: row.status for name, row in requests.items()} == {
        "first": "pending",
        "second": "pending",
        "below": "tiers_setup",
    }
    for name in ("first", "second", "below"):
        platform.post("V", f"{PATHS[TIER_CONFIG]}/{requests[name].pk}/approve")
    assert platform.status(FULFILLMENT, order) == "pending"


def test_purchased_draft_starts_the_setup(platform: Platform) -> None:
    body = builders.order(platform, builders.reseller("new"), status="draft")
    order = platform.post("D", "/requests", body)["id"]
    since = latest()
    assert not TierConfigRequest.objects.filter(status="pending").exists()
    assert platform.post("D", f"/requests/{order}/purchase")["status"] == "tiers_setup"
    tier = TierConfigRequest.objects.get(status="pending").pk
    check_notified(
        platform,
        since,
        [
            Change(FULFILLMENT, order, "draft", "tiers_setup"),
            Change(TIER_CONFIG, tier, "", "pending"),
        ],
    )


@pytest.mark.parametrize(("kind", "needs", "created", "approved", "failed"), tables.ASSETS)
def test_each_type_changes_the_subscriptions_status(
    platform: Platform, kind: str, needs: str | None, created: str, approved: str, failed: str
) -> None:
    body = builders.order(platform)
    if kind != "purchase":
        body = builders.asset_request(builders.subscription(platform, needs or ""), kind)
    for ways, ended, asset in (
        ((("V", "approve"),), "approved", approved),
        ((("V", "fail"),), "failed", failed),
        # Revoking restores the previous status.
        ((("V", "schedule"), ("D", "revoke"), ("V", "confirm")), "revoked", failed),
    ):
        with undone():
            request = platform.post("D", "/requests", body)
            assert (request["status"], request["asset"]["status"]) == ("pending", created)
            for actor, verb in ways:
                path = f"/requests/{request['id']}/{verb}"
                request = platform.post(actor, path, builders.body_of(verb))
            assert (request["status"], request["asset"]["status"]) == (ended, asset)
            assert platform.by["V"].get(f"/assets/{request['asset']['id']}").json["status"] == asset


@pytest.mark.parametrize("kind", ["change", "adjustment", "renew", "transfer"])
def test_changes_are_applied_on_approval_only(platform: Platform, kind: str) -> None:
    asset = builders.subscription(platform)

    def held() -> tuple[Any, ...]:
        body = platform.by["V"].get(f"/assets/{asset}").json
        values = {param["id"]: param["value"] for param in body["params"]}
        return body["items"][0]["quantity"], values["asset_ask"], values["asset_set"]

    body = builders.asset_request(asset, kind)
    quantity = "5" if kind == "adjustment" else "41"
    body["asset"]["params"] = [{"id": "asset_ask", "value": "eu"}]
    if kind != "adjustment":
        body["asset"]["items"] = [{"id": "SEAT", "quantity": 41}]
    for verb, expected in (("fail", ("5", "", "")), ("approve", (quantity, "eu", "t-1"))):
        path = f"/requests/{platform.post('D', '/requests', body)['id']}"
        platform.put("V", path, {"asset": {"params": [{"id": "asset_set", "value": "t-1"}]}})
        assert held() == ("5", "", "")
        platform.post("V", f"{path}/{verb}", BECAUSE)
        assert held() == expected


@pytest.mark.parametrize("on", [True, False])
def test_account_change_creates_a_request_for_the_vendor(platform: Platform, on: bool) -> None:
    if not on:
        off = {"capabilities": {"tiers": {"updates": False}}}
        platform.put("V", f"/products/{platform.product}", off)
    asset = platform.by["D"].get(f"/assets/{builders.subscription(platform)}").json
    path = f"/tier/accounts/{asset['tiers']['customer']['id']}"
    since = latest()
    for _ in range(2):
        # The second time nothing changes.
        platform.put("D", path, {"name": "Renamed"})
    [request] = platform.by["V"].get(PATHS[TIER_ACCOUNT]).json
    status = "pending" if on else "unsupported"
    check_notified(platform, since, [Change(TIER_ACCOUNT, request["id"], "", status)])


def closed_by_records(platform: Platform, path: str) -> None:
    for row in platform.by["D"].get("/usage/records").json:
        platform.post("D", f"/usage/records/{row['id']}/close")


def closed_by_list(platform: Platform, path: str) -> None:
    rows = [{"id": row["id"]} for row in platform.by["D"].get("/usage/records").json]
    assert platform.by["D"].post("/usage/records/close-records", rows).status == 206


def closed_by_sheet(platform: Platform, path: str) -> None:
    for number in (1, 2):
        content = f"record_id,external_billing_id\nr-{number},INV-1\n".encode()
        response = builders.send(platform.by["D"], f"{path}/reconciliation", content)
        assert response.status == 200, response


@pytest.mark.parametrize("close", [closed_by_records, closed_by_list, closed_by_sheet])
def test_closing_the_last_record_closes_the_file(
    platform: Platform, close: Callable[[Platform, str], None]
) -> None:
    pk = builders.usage_file(platform, "accepted")
    since = latest()
    close(platform, f"{PATHS[USAGE]}/{pk}")
    check_notified(platform, since, [Change(USAGE, pk, "accepted", "closed")])
    assert platform.by["V"].get(f"{PATHS[USAGE]}/{pk}").json["stats"]["closed"] == 2


@pytest.mark.parametrize(("content", "ends"), [(b"", "ready"), (b"record_id\nr-1\n", "invalid")])
def test_an_upload_is_processed_in_two_changes(
    platform: Platform, content: bytes, ends: str
) -> None:
    content = content or builders.sheet(builders.subscription(platform), 1)
    pk = builders.draft_usage_file(platform)
    since = latest()
    assert builders.send(platform.by["V"], f"{PATHS[USAGE]}/{pk}/upload", content).status == 201
    # Tasks are delivered twice.
    for _ in range(2):
        processing.run(pk)
    check_notified(
        platform,
        since,
        [
            Change(USAGE, pk, "draft", "uploading"),
            Change(USAGE, pk, "uploading", "processing"),
            Change(USAGE, pk, "processing", ends),
        ],
    )


def test_scheduled_work_changes_objects_when_due(platform: Platform) -> None:
    """Planned dates, billing periods and stale drafts are each processed once, by platform time."""
    asset = builders.subscription(platform)
    run_due()
    draft = builders.request(platform, "draft")
    tier_draft = builders.config_request(platform, "draft")
    planned = builders.create_order(platform, "purchase")
    date = clock.shown(clock.now()) + timedelta(days=3)
    platform.post("V", f"/requests/{planned}/schedule", {"planned_date": date.isoformat()})
    for days, changes in (
        (2, []),
        (2, [Change(FULFILLMENT, planned, "scheduled", "pending")]),
        # After a month the active subscription is billed, and drafts are stale.
        (28, [Change(BILLING, f"BRV-{asset[3:]}-0001", "", "")]),
    ):
        since = latest()
        move_clock(days * 24 * 3600)
        for _ in range(2):
            run_due()
        check_notified(platform, since, changes)
    assert platform.by["D"].get(f"/requests/{draft}").status == 404
    assert platform.by["D"].get(f"{PATHS[TIER_CONFIG]}/{tier_draft}").status == 404
    assert not Asset.objects.filter(status="draft").exists()
    assert Request.objects.get(pk=planned).planned_date is None
