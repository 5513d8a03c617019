"""Every method of the plugin, against a sandbox: run by tests/plugin/test_with_sandbox.py."""

from __future__ import annotations

import pytest
from pytest_connect_sim import ApiError, UnknownName


@pytest.fixture
def active(connect_sim, handler_url):
    """An approved order of a fresh product."""
    product = connect_sim.product()
    connect_sim.webhook(product, handler_url)
    order = connect_sim.purchase(product, items={"mailbox": 5, "traffic": 1})
    connect_sim.expect(order).status("approved")
    return order


def test_orders(connect_sim, active):
    assert active.items == {"mailbox": "5", "traffic": "unlimited"}
    change = connect_sim.change(active, items={"mailbox": 9}, params={"domain": "b.example"})
    connect_sim.expect(change).status("approved")
    subscription = connect_sim.get(active.subscription)
    assert (subscription.status, subscription.items["mailbox"]) == ("active", "9")
    assert subscription.params["domain"] == "b.example"
    for order in (connect_sim.suspend, connect_sim.resume, connect_sim.cancel):
        connect_sim.expect(order(active.subscription)).status("approved")
    connect_sim.expect(active.subscription).status("terminated")


def test_adjustment_is_ordered_by_the_vendor(connect_sim, active):
    order = connect_sim.adjust(active, {"activation_id": "A-2"})
    connect_sim.expect(order).status("approved")
    assert order.data["type"] == "adjustment"


def test_actions_of_either_party(connect_sim):
    order = connect_sim.purchase(connect_sim.product())
    connect_sim.move(order, "fail", reason="Out of stock")
    connect_sim.expect(order).status("failed")
    assert order.refresh()["reason"] == "Out of stock"
    with pytest.raises(ApiError, match=r"Unknown action aprove\. Available: "):
        connect_sim.move(order, "aprove")


def test_billing(connect_sim, active):
    webhook = connect_sim.webhook(
        active.refresh()["asset"]["product"]["id"], "http://127.0.0.1:9/", "billing_request"
    )
    first = connect_sim.billing(active)
    second = connect_sim.billing(active, {"mailbox": 3}, reference="B-2")
    assert first.data["period"]["to"] == second.data["period"]["from"]
    assert second.items == {"mailbox": 3.0}
    assert second.data["attributes"]["vendor"] == {"reference": "B-2"}
    connect_sim.expect(webhook).failed()
    other = connect_sim.billing(active, type="provider")
    assert other.data["period"]["from"] == first.data["period"]["from"]
    with pytest.raises(ValueError, match="Available: vendor, provider"):
        connect_sim.billing(active, type="nobody")


def test_usage(connect_sim, active):
    rows = [{"subscription": active, "item": "traffic", "quantity": 12.25, "record_id": "R-1"}]
    file = connect_sim.usage_file(rows)
    assert file.status == "pending"
    connect_sim.move(file, "accept", acceptance_note="Right")
    connect_sim.expect(file).status("accepted")
    assert connect_sim.usage_file(rows, submit=False).status == "ready"
    wrong = [{"subscription": active, "item": "traffic", "quantity": -1}]
    assert connect_sim.usage_file(wrong).status == "invalid"
    with pytest.raises(ValueError, match="Row 2 of the usage has no item"):
        connect_sim.usage_file([*rows, {"subscription": active}])
    with pytest.raises(UnknownName, match="Known: mailbox, traffic"):
        connect_sim.usage_file([{"subscription": active, "item": "trafic"}])


def test_listing(connect_sim):
    product = connect_sim.product()
    draft = connect_sim.listing(product, submit=False)
    assert draft.status == "draft"
    connect_sim.move(draft, "submit")
    connect_sim.move(draft, "deploy")
    connect_sim.move(draft, "complete")
    connect_sim.expect(draft).status("completed")
    removal = connect_sim.listing(product, "remove")
    assert (removal.status, removal.data["type"]) == ("reviewing", "remove")


def test_tier_account(connect_sim, active):
    request = connect_sim.tier_account(active)
    assert request.status == "pending"
    connect_sim.move(request, "accept")
    connect_sim.expect(request).status("accepted")
    named = connect_sim.tier_account(active, tier="tier1", name="Other Reseller")
    assert named.data["account"]["name"] == "Other Reseller"
    with pytest.raises(ValueError, match="has no tier2"):
        connect_sim.tier_account(active, tier="tier2")


def test_tier_config(connect_sim):
    product = connect_sim.product(
        params=[
            {"name": "agreement", "scope": "tier1", "constraints": {"required": True}},
            {
                "name": "tenant",
                "scope": "tier1",
                "phase": "fulfillment",
                "constraints": {"required": True},
            },
        ]
    )
    setup = connect_sim.tier_config(product, {"agreement": "N-1"})
    assert (setup.status, setup.params["agreement"]) == ("pending", "N-1")
    connect_sim.fill(setup, {"tenant": "T-1"})
    connect_sim.move(setup, "approve", template={"representation": "# Welcome"})
    connect_sim.expect(setup).status("approved")
    reseller = setup.data["configuration"]["account"]["id"]
    update = connect_sim.tier_config(setup.data["configuration"]["id"], {"agreement": "N-2"})
    assert (update.data["type"], update.status) == ("update", "pending")
    order = connect_sim.purchase(product, tier1=reseller)
    assert order.status == "pending"
    assert connect_sim.purchase(product).status == "tiers_setup"


def test_draft_is_validated(connect_sim, validator_url):
    product = connect_sim.product()
    webhook = connect_sim.webhook(product, validator_url, type="validator")
    draft = connect_sim.purchase(product, draft=True)
    assert draft.status == "draft"
    result = connect_sim.validate(draft, {"domain": "bad.example"})
    assert (result.called, result.errors) == (True, {"domain": "Not that one"})
    assert result.after["domain"] == "bad.example"
    assert connect_sim.validate(draft, {"domain": "good.example"}).errors == {}
    connect_sim.expect(webhook).called(2)


def test_webhook_and_time(connect_sim, failing_url):
    product = connect_sim.product()
    webhook = connect_sim.webhook(
        product,
        failing_url,
        secret="JWT-secret",
        method="GET",
        headers={"X-Test": "1"},
        data={"a": 1},
    )
    assert (webhook.url, webhook.secret) == (failing_url, "JWT-secret")
    connect_sim.snapshot("before")
    connect_sim.trigger(webhook)
    connect_sim.expect(webhook).failed().called(1).never_called(within="4m")
    assert [row["outcome"] for row in connect_sim.next_attempt().attempts] == ["failure"]
    assert len(connect_sim.advance("10m").attempts) == 1
    assert connect_sim.run_until_idle(max="1h").stopped_because == "max"
    [delivery] = connect_sim.deliveries(webhook)
    assert delivery["attempts"][0]["request"]["method"] == "GET"
    assert "X-Test" in delivery["attempts"][0]["request"]["headers"]
    assert webhook.refresh()["data"] == {"a": 1}
    connect_sim.expect(webhook).called(at_least=3).out_of_order()
    connect_sim.expect().idle()
    kinds = {entry["kind"] for entry in connect_sim.timeline(webhook)}
    assert kinds == {"event", "attempt_started", "attempt_finished"}
    connect_sim.restore("before")
    assert connect_sim.deliveries(webhook) == []


def test_reading(connect_sim, handler_url):
    product = connect_sim.product()
    connect_sim.reading("api_url_slash", "present")
    with pytest.raises(ApiError, match="Available: absent, present"):
        connect_sim.reading("api_url_slash", "none")
    webhook = connect_sim.webhook(product, handler_url)
    assert webhook.data["api_url"] == f"{connect_sim.api_url}/"
    connect_sim.reading("api_url_slash", None)
    assert webhook.refresh()["api_url"] == connect_sim.api_url


def test_names(connect_sim):
    product = connect_sim.product()
    with pytest.raises(UnknownName, match="Known: mailbox, traffic"):
        connect_sim.purchase(product, items={"mailbx": 1})
    with pytest.raises(UnknownName, match="Known: domain, activation_id"):
        connect_sim.purchase(product, params={"domian": 1})
    with pytest.raises(ApiError, match="PRD-000-000-001"):
        connect_sim.product("PRD-000-000-001")
    suite = connect_sim.product("PRD-362-917-440")
    order = connect_sim.purchase(
        suite, items={"SKU_MAILBOX": 2, "NSS-DESK-PPU": 1}, params={"admin_email": "a@b.example"}
    )
    assert order.items["NSS-MAILBOX-M"] == "2"


@pytest.mark.connect_sim(seed=7)
def test_seed_makes_up_the_same_customers(connect_sim):
    order = connect_sim.purchase(connect_sim.product())
    tiers = order.data["asset"]["tiers"]
    assert (tiers["customer"]["name"], tiers["customer"]["external_id"]) == (
        "Blue Ridge Dental",
        "269e0d37f2a74de4",
    )


def test_connect_client_needs_the_package(connect_sim):
    with pytest.raises(ImportError, match="connect-openapi-client"):
        connect_sim.connect_client()
