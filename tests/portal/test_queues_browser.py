"""Pages of queues in a real browser: creating, watching and processing orders."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests import orders
from tests.portal.site import PLAIN, Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


@pytest.fixture(scope="module")
def hook(site: Site) -> str:
    return site.webhook(label="Orders")


def test_order_is_created_watched_and_approved(site: Site, hook: str) -> None:
    # The console logs the status of the refused approval.
    with site.page("/queues/", logged=("status of 400",)) as page:
        page.get_by_role("link", name="Fulfillment requests").click()
        page.get_by_role("link", name="Create sample").click()
        page.get_by_label("Product").select_option(PLAIN)
        page.wait_for_url(re.compile(f"product={PLAIN}"))
        page.get_by_label("Company").fill("Blue Bay Bakery")
        page.get_by_label("Data region").select_option("eu")
        page.get_by_role("button", name="Create").click()
        expect(page.locator("h1")).to_contain_text("pending")
        expect(page.get_by_text("Blue Bay Bakery").first).to_be_visible()
        # The page follows the delivery.
        stream = page.locator(".stream")
        expect(stream).to_contain_text("Attempt 1: HTTP 200", timeout=10_000)
        expect(stream.get_by_role("link", name="Orders").first).to_have_attribute(
            "href", f"/webhooks/{hook}/"
        )
        page.get_by_role("link", name="Approve").click()
        page.get_by_role("button", name="Approve").click()
        expect(page.locator('[data-field="activation_id"] .error')).to_contain_text(
            "This field is required."
        )
        page.get_by_label("Activation id").fill("A-100")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("h1")).to_contain_text("approved")
        expect(page.locator(".messages")).to_contain_text("is approved.")
        expect(stream).to_contain_text("approved")


def test_board_is_polled(site: Site) -> None:
    with site.page(f"/queues/fulfillment/?product={PLAIN}") as page:
        count = page.locator("#column-pending .count")
        before = int(count.inner_text())
        page.get_by_role("searchbox").fill("typed, not sent")
        order = orders.purchase(site.running)
        card = page.locator(f"#card-{order['id']}")
        expect(card).to_be_visible(timeout=10_000)
        expect(count).to_have_text(str(before + 1))
        # Polling keeps typed text.
        expect(page.get_by_role("searchbox")).to_have_value("typed, not sent")
        card.focus()
        site.running.as_vendor("POST", f"/requests/{order['id']}/fail", {"reason": "No."})
        expect(page.locator("section", has=page.locator("#column-failed"))).to_contain_text(
            order["id"], timeout=10_000
        )
        expect(card).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("failed")


def test_orders_are_approved_on_the_board(site: Site) -> None:
    """By a card's button, and as a selection of which one lacks a value."""
    ready = [orders.purchase(site.running)["id"] for _ in range(3)]
    for pk in ready:
        params = {"asset": {"params": [{"id": "activation_id", "value": f"A-{pk}"}]}}
        site.running.as_vendor("PUT", f"/requests/{pk}", params)
    lacking = orders.purchase(site.running)["id"]
    with site.page(f"/queues/fulfillment/?product={PLAIN}", width=900) as page:
        board, result = page.locator("#board"), page.locator("#bulk-result")
        # The board scrolls, the page does not.
        expect(page.locator(".board-frame")).to_have_attribute("data-more", "right")
        board.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".board-frame")).to_have_attribute("data-more", "left right")
        assert page.evaluate("document.documentElement.scrollWidth") == 900
        page.get_by_role("button", name=f"Approve {ready[0]}").click()
        expect(result).to_contain_text("Approve: 1 approved")
        approved = page.locator("section", has=page.locator("#column-approved"))
        expect(approved).to_contain_text(ready[0])
        for pk in (*ready[1:], lacking):
            page.get_by_label(f"Select {pk}").check()
        expect(page.locator("#picked")).to_have_text("3 selected")
        # In one call: an element that was found before may have been replaced by an update.
        page.evaluate("document.getElementById('board').scrollTo(30, 0)")
        page.get_by_role("button", name="Approve selected").click()
        expect(result).to_contain_text("Approve: 2 approved, 1 refused")
        expect(result).to_contain_text(f"{lacking} Parameter activation_id is required.")
        expect(approved).to_contain_text(ready[2])
        # Selection and position are kept.
        expect(page.get_by_label(f"Select {lacking}")).to_be_checked()
        assert page.evaluate("document.getElementById('board').scrollLeft") == 30


def test_typed_message_is_kept_and_sent(site: Site, hook: str) -> None:
    order = orders.purchase(site.running)
    with site.page(f"/queues/fulfillment/{order['id']}/") as page:
        page.get_by_role("textbox", name="Message").fill("Which region?")
        site.running.as_vendor("POST", f"/requests/{order['id']}/fail", {"reason": "No."})
        expect(page.locator("h1")).to_contain_text("failed", timeout=10_000)
        expect(page.get_by_role("textbox", name="Message")).to_have_value("Which region?")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".messages")).to_contain_text("Message sent")
        expect(page.locator(".stream")).to_contain_text("Which region?")
