"""The bar of the sandbox in a real browser: each button, on a sandbox with a real handler."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.portal import accessible
from tests.portal.site import PLAIN, Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

TIMEOUT = 30_000  # milliseconds


def press(page: Page, action: str, text: str) -> None:
    page.locator(f'[data-action="{action}"]').click()
    expect(page.locator("[data-summary]")).to_contain_text(text, timeout=TIMEOUT)


def look(page: Page) -> None:
    """Check a page in both color schemes, wide and narrow."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size({"width": 1440, "height": 900})
    assert accessible.violations(page) == []
    assert (accessible.overflow(page), accessible.spills(page)) == (0, [])
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size({"width": 380, "height": 800})
    assert accessible.violations(page, accessible.LOOK_RULES) == []
    assert (accessible.overflow(page), accessible.spills(page)) == (0, [])
    page.set_viewport_size({"width": 1440, "height": 900})


def test_each_button_moves_the_clock_and_says_what_happened(site: Site) -> None:
    site.served.respond = lambda request: 503
    hook = site.webhook(label="Down")
    body = {"queue": "fulfillment", "type": "purchase", "product": PLAIN}
    order = site.running.call("POST", "/sandbox/queue/samples", body).json()["id"]
    with site.open(f"/queues/fulfillment/{order}/") as tab:
        page = tab.page
        height = page.locator(".bar").bounding_box()
        assert height is not None and height["height"] < 50  # one line
        press(page, "next-attempt", "failed.")
        expect(page.locator("[data-ahead]")).to_contain_text(re.compile("min.* ahead"))
        press(page, "advance-5m", "No attempt was due. Moved 5 min.")
        site.served.respond = lambda request: 200
        press(page, "run-until-idle", "1 attempt: 1 succeeded.")
        # The page has stayed where it was.
        expect(page.get_by_role("heading", level=1)).to_contain_text(order)
        look(page)
        page.locator("[data-summary]").get_by_role("link", name="View").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Timeline")
        rows = page.locator(".stream-row[data-kind=delivery]")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("HTTP 200")
        press(page, "advance-1d", "No attempt was due. Moved 1 d.")
        expect(page.locator(".stream-row").first).to_contain_text("Moved", timeout=TIMEOUT)
        assert tab.console_errors == []
        reset(page)
    gone = site.running.call("GET", f"/public/v1/notifications/webhooks/{hook}")
    assert gone.status_code == 404


def reset(page: Page) -> None:
    page.locator('[data-action="reset"]').click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert accessible.violations(page) == []
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    page.locator('[data-action="reset"]').click()
    dialog.get_by_role("button", name="Reset").click()
    expect(page.locator("[data-summary]")).to_contain_text(
        "Reset to the demo data", timeout=TIMEOUT
    )
    expect(page.locator("[data-ahead]")).to_have_text("real time")
    expect(page.get_by_role("heading", level=1)).to_have_text("Timeline")


def test_running_move_is_shown_and_not_started_again(site: Site) -> None:
    hook = site.webhook(label="Slow")
    with site.open("/products/") as tab:
        page = tab.page
        # No attempt ends until the handler responds.
        site.served.respond = lambda request: None
        site.running.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger", {})
        button = page.locator('[data-action="next-attempt"]')
        with page.expect_request("**/time/move/"):
            button.click()
        expect(button).to_have_attribute("aria-busy", "true")
        with site.open("/", script=False) as plain:
            plain.page.locator('[data-action="advance-5m"]').click()
            expect(plain.page.locator("[data-summary]")).to_contain_text("already being moved")
        requests = [each for each in tab.requested if "/time/move/" in str(each)]
        page.locator('[data-action="advance-1d"]').click()
        assert [each for each in tab.requested if "/time/move/" in str(each)] == requests
        site.served.respond = lambda request: 200
        site.served.release.set()
        expect(page.locator("[data-summary]")).to_be_visible(timeout=TIMEOUT)
        assert button.get_attribute("aria-busy") is None
    site.running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def test_palette_moves_the_clock_and_clears_faults(site: Site) -> None:
    with site.page("/products/") as page:
        page.evaluate("globalThis.isSamePage = true")
        page.keyboard.press("Control+k")
        text = page.get_by_role("combobox", name="Search and commands")
        option = page.get_by_role("option", name="Move the clock forward by 5 minutes")
        text.fill("advance")
        # One entry, though the page has the button, too.
        expect(option).to_have_count(1)
        option.click()
        expect(page.locator("[data-summary]")).to_contain_text("Moved 5 min.", timeout=TIMEOUT)
        expect(text).to_be_hidden()
        # It has pressed the page's own button.
        assert page.evaluate("globalThis.isSamePage")
        fault = {"kind": "drop", "side": "api", "path": "/nowhere", "name": "nowhere"}
        assert site.running.call("POST", "/sandbox/faults", fault).status_code == 201
        page.keyboard.press("Control+k")
        text.fill("clear all faults")
        expect(page.locator("#palette-option-0")).to_contain_text("Clear all faults")
        page.keyboard.press("Enter")
        page.wait_for_url("**/faults/")
        expect(page.get_by_text("1 fault cleared")).to_be_visible()
