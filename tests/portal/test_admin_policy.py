"""The admin works under its Content-Security-Policy, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import chromium
from tests.portal.site import SECRET, Site, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

CANARY = "canary-of-a-header"


def test_admin_widgets_work(site: Site) -> None:
    pk = site.webhook(headers={"X-Key": CANARY})
    with site.open("/admin/webhooks/webhook/", logged=("",)) as tab:
        page = tab.page
        # Filters, the sidebar, the theme, the boxes of the actions.
        page.locator("#changelist-filter summary").first.click()
        page.locator("#toggle-nav-sidebar").click()
        before = page.locator("html").get_attribute("data-theme")
        page.locator(".theme-toggle:visible").first.click()
        assert page.locator("html").get_attribute("data-theme") != before
        rows = page.locator("#result_list .action-select").count()
        assert rows >= 1
        page.locator("#action-toggle").check()
        expect(page.locator(".action-counter")).to_contain_text(f"{rows} of {rows} selected")
        # The masked value is kept by an edit, and revealed by its button.
        page.goto(f"/admin/webhooks/webhook/{pk}/change/")
        assert CANARY not in page.content()
        page.locator("#id_label").fill("Renamed")
        page.locator("input[name=_save]").click()
        expect(page.locator(".messagelist")).to_contain_text("Renamed")
        page.goto(f"/admin/webhooks/webhook/{pk}/change/")
        page.get_by_role("button", name="Reveal the JWT secret").click()
        expect(page.locator(".sim-secret")).to_have_text(SECRET)
        expect(page.locator(".sim-pairs")).to_contain_text(CANARY)
        assert not [text for text in tab.console_errors if "Content Security Policy" in text]
