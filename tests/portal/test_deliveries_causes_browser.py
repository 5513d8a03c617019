"""Failed attempts by cause in a real browser: live, by keyboard, and sent again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests import orders
from tests.portal import accessible
from tests.portal.site import Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


def fail(site: Site, hook: str, status: int, count: int) -> None:
    """Let a delivery of the webhook fail, and cancel it by disabling the webhook for a moment."""
    path = f"/notifications/webhooks/{hook}"
    site.served.respond = lambda request: status
    site.running.as_vendor("POST", f"{path}/trigger")
    orders.until_stats(site.running, hook, triggers=count)
    for active in (False, True):
        site.running.as_vendor("PUT", path, {"active": active})


def look(page: Page) -> None:
    """Check the page wide in light colors, and narrow in dark ones."""
    assert accessible.violations(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size({"width": 380, "height": 800})
    assert accessible.violations(page, accessible.LOOK_RULES) == []
    assert (accessible.overflow(page), accessible.spills(page)) == (0, [])


def test_causes_are_live_and_sent_again(site: Site) -> None:
    hook = site.webhook(label="Causes")
    fail(site, hook, 503, 1)
    with site.page(f"/deliveries/?q=webhook:{hook}", width=1600) as page:
        summary = page.locator("#causes summary")
        expect(summary).to_have_text("1 failed attempt HTTP 503 (1)")
        rows = page.locator("#causes tbody tr")
        expect(rows).to_be_hidden()
        summary.focus()
        page.keyboard.press("Enter")
        expect(rows).to_contain_text("1 not retried")
        fail(site, hook, 404, 2)
        # The page is live, and what is open stays open.
        expect(rows).to_have_count(2)
        expect(summary).to_have_text("2 failed attempts HTTP 404 (1), HTTP 503 (1)")
        expect(rows.first).to_be_visible()
        look(page)
        site.served.respond = lambda request: 200
        page.get_by_role("button", name="Send all again (HTTP 503)").click()
        message = page.get_by_text("1 delivery will be sent again.")
        expect(message).to_be_visible()
        expect(page.locator("#bulk-progress")).to_contain_text("Sent 1 of 1 again")
        orders.until_stats(site.running, hook, success_triggers=1)
        page.locator("#causes summary").click()
        cells = page.locator("#causes tr").filter(has_text="HTTP 503").locator("td")
        expect(cells.last).to_have_text("–")
        page.locator("#causes tr").filter(has_text="HTTP 404").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Delivery")


def test_statistics_of_a_webhook_have_its_causes(site: Site) -> None:
    hook = site.webhook(label="More causes")
    fail(site, hook, 500, 1)
    with site.page(f"/webhooks/{hook}/statistics/", width=1600) as page:
        section = page.get_by_role("region", name="Failed attempts by cause")
        expect(section).to_contain_text("HTTP 500")
        fail(site, hook, 502, 2)
        expect(section).to_contain_text("HTTP 502")
        look(page)
        site.served.respond = lambda request: 200
        page.get_by_role("button", name="Send all again (HTTP 502)").click()
        expect(page.get_by_text("1 delivery will be sent again.")).to_be_visible()
        page.wait_for_url(f"**/webhooks/{hook}/statistics/**")
        expect(page.locator('[data-cause="502-"] td').last).to_have_text("–", timeout=15_000)
