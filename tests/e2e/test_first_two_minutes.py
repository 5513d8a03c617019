"""The first steps of the README: the pages, and a real handler."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.portal.site import PLAIN, Site, chromium, site
from tests.processes import free_port, listening

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_tour_from_the_first_page_to_a_resent_delivery(site: Site, tmp_path: Path) -> None:
    port = free_port()
    with site.open("/") as tab:
        page = tab.page
        with listening(site.running, tmp_path, "--approve", port=port) as (listen, url):
            create_webhook(page, url)
            create_request(page)
            expect(page.locator("h1")).to_contain_text("approved", timeout=15_000)
            expect(page.get_by_text("Attempt 1: HTTP 200").first).to_be_visible(timeout=15_000)
            assert "token verified" in listen.printed
        # The handler fails now.
        page.get_by_role("link", name="Webhooks", exact=True).first.click()
        page.get_by_role("link", name="My first webhook").click()
        press(page, "Trigger now")
        health = page.locator("#health")
        expect(health).to_contain_text(re.compile("Failing since .* 1 of 10"), timeout=10_000)
        expect(health.locator("time[data-time=countdown]").first).to_contain_text("in ")
        page.locator("#main").get_by_role("link", name="Deliveries", exact=True).click()
        page.locator("[data-step]").first.click()
        expect(page.get_by_text(re.compile("refused the connection")).first).to_be_visible()
        expect(page.locator("#main").get_by_text("Next attempt in").first).to_be_visible()
        with listening(site.running, tmp_path, "--approve", port=port):
            press(page, "Send again")
            expect(page.get_by_text("200 success").first).to_be_visible(timeout=10_000)
            expect(page.get_by_text(re.compile("Resend of delivery"))).to_be_visible()
        assert tab.console_errors == []


def create_webhook(page: Page, url: str) -> None:
    page.get_by_role("link", name="Choose product and type").click()
    page.get_by_label("Name").fill("My first webhook")
    page.get_by_label("Enabled").check()
    press(page, "Next")
    page.locator(f'input[value="{PLAIN}"]').check()
    press(page, "Next")
    page.get_by_role("radio", name=re.compile("Fulfillment Requests")).check()
    press(page, "Next")
    page.get_by_label("Endpoint URL").fill(url)
    press(page, "Next")
    press(page, "Create")
    expect(page.get_by_role("heading", level=1)).to_have_text("My first webhook")


def create_request(page: Page) -> None:
    page.get_by_role("link", name="Home").click()
    page.get_by_role("link", name="Create order").click()
    page.get_by_label("Product").select_option(PLAIN)
    page.wait_for_url(re.compile(PLAIN))
    press(page, "Create")
