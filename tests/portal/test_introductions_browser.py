"""The sentence of a page's first visit in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.portal import accessible
from tests.portal.site import PLAIN, Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


@pytest.mark.parametrize("script", [True, False])
def test_sentence_is_shown_on_the_first_visit_only(site: Site, script: bool) -> None:
    with site.page("/products/", script=script, width=380) as page:
        sentence = page.locator("#introduction")
        expect(sentence).to_contain_text("These are the products")
        assert accessible.overflow(page) <= 0
        page.goto(f"/products/{PLAIN}/")
        expect(sentence).to_contain_text("This is one product")
        page.goto("/products/")
        expect(sentence).to_have_count(0)
        page.reload()
        expect(sentence).to_have_count(0)


def test_sentence_is_closed_by_its_button(site: Site) -> None:
    with site.page("/checks/") as page:
        assert accessible.violations(page) == []
        button = page.get_by_role("button", name="Close the explanation")
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#introduction")).to_have_count(0)


def test_sentence_stays_while_the_page_is_live(site: Site) -> None:
    body = {"queue": "fulfillment", "type": "purchase", "product": PLAIN}
    order = site.running.call("POST", "/sandbox/queue/samples", body).json()["id"]
    with site.page(f"/queues/fulfillment/{order}/") as page:
        sentence = page.locator("#introduction")
        expect(sentence).to_contain_text("This is one object of a queue")
        site.running.as_vendor("POST", f"/requests/{order}/fail", {"reason": "No room."})
        expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
        expect(sentence).to_be_visible()
        # The moved clock replaces the page's content once more.
        page.locator('[data-action="advance-5m"]').click()
        expect(page.locator("[data-summary]")).to_be_visible()
        expect(sentence).to_be_visible()
