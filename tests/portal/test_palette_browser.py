"""The command palette and the shortcuts in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.marks import nightly
from tests.portal import accessible
from tests.portal.site import Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

REQUEST = "PR-2934-6610-1178-001"


def _text(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Search and commands")


def _selected(page: Page) -> str:
    """Return the text of the option that has the combobox's active descendant."""
    pk = _text(page).get_attribute("aria-activedescendant")
    option = page.locator(f"#{pk}")
    assert option.get_attribute("aria-selected") == "true"
    return option.inner_text()


def test_palette_goes_to_an_object_a_page_and_an_action(site: Site) -> None:
    with site.page("/products/") as page:
        page.keyboard.press("Control+k")
        expect(_text(page)).to_be_focused()
        expect(page.get_by_role("option", name="Deliveries", exact=True)).to_be_visible()
        assert accessible.violations(page) == []
        # Enter opens what is found for the whole text, also while it is still loading.
        page.keyboard.type(REQUEST)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/queues/fulfillment/{REQUEST}/")
        page.get_by_role("link", name="Search").click()
        recent = page.get_by_role("group", name="Recent").get_by_role("option")
        expect(recent.first).to_contain_text("Products")
        assert "Products" in _selected(page)
        actions = page.get_by_role("group", name="On this page").get_by_role("option")
        label = page.locator("main .head .button").first.inner_text()
        assert actions.first.inner_text().strip() == label
        page.keyboard.press("ArrowUp")
        assert "Sign out" in _selected(page)
        _text(page).fill("faults")
        expect(page.get_by_role("group", name="Pages").get_by_role("option")).to_have_count(1)
        expect(page.locator("#palette-option-0")).to_have_text("Faults ")
        page.keyboard.press("Enter")
        page.wait_for_url("**/faults/")
        page.keyboard.press("Control+k")
        _text(page).fill("act as northland")
        expect(page.locator("#palette-option-0")).to_contain_text("Act as Northland")
        page.keyboard.press("Enter")
        expect(page.locator(".account-menu summary")).to_contain_text("distributor")
        page.keyboard.press("Control+k")
        _text(page).fill("act as nimbus")
        # The list of the whole palette has that option too, and is replaced.
        expect(page.locator("#palette-option-0")).to_contain_text("Act as Nimbus")
        page.get_by_role("option", name=re.compile("Act as Nimbus")).click()
        expect(page.locator(".account-menu summary")).to_contain_text("vendor")
        page.keyboard.press("Control+k")
        page.keyboard.press("Escape")
        expect(_text(page)).to_be_hidden()


@pytest.mark.parametrize(
    ("address", "opened"),
    [
        ("/queues/fulfillment/", r"/queues/fulfillment/PR-[\d-]+/$"),
        nightly(
            "/queues/fulfillment/?status=",
            r"/queues/fulfillment/PR-[\d-]+/$",
            reason="a board and a list run each time",
        ),
        ("/products/", r"/products/PRD-[\d-]+/$"),
    ],
)
def test_rows_of_every_list_are_selected_and_opened(site: Site, address: str, opened: str) -> None:
    with site.page(address) as page:
        for _ in range(2):
            page.keyboard.press("j")
        expect(page.locator("[data-step]").nth(1)).to_be_focused()
        row = page.locator("[data-step]").nth(1).get_attribute("id")
        page.keyboard.press("o")
        page.wait_for_url(re.compile(opened))
        page.keyboard.press("Escape")
        page.wait_for_url(f"**{address}")
        expect(page.locator(f"#{row}")).to_be_focused()
        page.keyboard.press("/")
        expect(page.locator("main [role=search] input[type=search]")).to_be_focused()
