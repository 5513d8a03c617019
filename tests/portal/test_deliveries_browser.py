"""Deliveries in a real browser: polling, shortcuts, resending, copying."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests import orders
from tests.browser import Tab
from tests.portal import accessible
from tests.portal.site import SECRET, Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


@pytest.fixture(scope="module")
def hook(site: Site) -> str:
    """A webhook with two successful deliveries."""
    pk = site.webhook(label="Orders", headers={"X-Env": "lab"})
    trigger(site, pk, 2)
    return pk


def trigger(site: Site, pk: str, times: int = 1) -> None:
    for _ in range(times):
        site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger")
        site.served.next()
    settled(site, pk)


def settled(site: Site, pk: str) -> None:
    """Wait until the received requests are recorded."""
    count = sum(request.json["webhook_id"] == pk for request in site.served.received)
    orders.until_stats(site.running, pk, triggers=count)


def polls(tab: Tab) -> int:
    """Return how often the log was polled."""
    return sum("/deliveries/" in url and "seen=" in url for url in tab.requested)


def test_new_rows_appear_unless_the_log_is_paused(site: Site, hook: str) -> None:
    with site.open(new=True) as tab:
        page = tab.page
        page.clock.install()
        page.goto(f"/deliveries/?q=webhook:{hook}")
        rows = page.locator("#log tr[data-opens-link]")
        before = rows.count()
        page.keyboard.press("j")
        chosen = page.locator("[data-step]").first.get_attribute("id")
        trigger(site, hook)
        page.clock.run_for(3_100)
        expect(rows).to_have_count(before + 1)
        expect(rows.first).to_contain_text("200 success")
        expect(rows.first).to_have_class("is-new")
        # The selected row stays selected.
        expect(page.locator(f"#{chosen}")).to_be_focused()
        page.locator("#live").uncheck()
        trigger(site, hook)
        polled = polls(tab)
        page.clock.run_for(10_000)
        assert polls(tab) == polled
        page.locator("#live").check()
        page.clock.run_for(3_100)
        expect(rows).to_have_count(before + 2)


def test_shortcuts_search_select_and_resend(site: Site, hook: str) -> None:
    with site.page("/deliveries/") as page:
        page.keyboard.press("?")
        expect(page.locator("#shortcuts")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        # Typing in the field triggers no shortcuts.
        page.keyboard.type(f"webhook:{hook} kjrc?")
        expect(page.locator("#q")).to_have_value(f"webhook:{hook} kjrc?")
        expect(page.locator("#shortcuts")).to_be_hidden()
        page.locator("#q").fill(f"webhook:{hook}")
        page.keyboard.press("Enter")
        page.wait_for_url("**/deliveries/?q=webhook*")
        links = page.locator("[data-step]")
        for key, at in (("j", 0), ("j", 1), ("k", 0)):
            page.keyboard.press(key)
            expect(links.nth(at)).to_be_focused()
        page.keyboard.press("j")
        chosen = links.nth(1).get_attribute("id") or ""
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(f"Delivery {chosen.removeprefix('l')}")
        page.keyboard.press("r")
        expect(page.get_by_text("Sent again as delivery")).to_be_visible()
        assert site.served.next().headers["X-Env"] == "lab"
        # Polling shows the attempt.
        expect(page.locator("#attempt1")).to_contain_text("200 success")
        expect(page.get_by_text(f"Resend of delivery {chosen.removeprefix('l')}")).to_be_visible()
        settled(site, hook)


@pytest.mark.nightly(reason="a delivery's page copies, and sends again by `r`, each time")
def test_selected_row_is_copied_and_sent_again(site: Site, hook: str) -> None:
    with site.page(f"/deliveries/?q=webhook:{hook}") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.keyboard.press("j")
        page.keyboard.press("c")
        expect(page.locator("#curl-copy")).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("curl --globoff") and "--header 'X-Env: lab'" in copied
        assert SECRET not in page.content()
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        page.wait_for_url("**/deliveries/*/")
        site.served.next()
        settled(site, hook)


def look(page: Page) -> None:
    """Check a page wide and narrow, light and dark."""
    for width, scheme, rules in ((1440, "light", ()), (380, "dark", accessible.LOOK_RULES)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        assert accessible.violations(page, rules) == []
        assert (accessible.overflow(page), accessible.spills(page)) == (0, [])


def test_failing_delivery_is_read_copied_and_advanced(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = 503, b'{"error": {"code": 7, "text": "down"}}'
    monkeypatch.setattr(site.served, "respond", lambda request: answer)
    pk = site.webhook(label="Read", headers={"X-Env": "lab"})
    site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger")
    site.served.next()
    settled(site, pk)
    with site.page(f"/deliveries/?q=webhook:{pk}") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("[data-step]").first.click()
        expect(page.locator(".alert-bad")).to_have_text("Handler returned HTTP 503 (expected 2xx).")
        # Values of headers are masked until they are revealed.
        value = page.locator("#request-headers").get_by_text("lab", exact=True)
        page.locator("#request-headers summary").click()
        expect(value).to_have_count(0)
        page.locator("#reveal-headers").click()
        expect(value).to_be_visible()
        # An object collapses; the copy is the whole body.
        body = page.locator("#response-body")
        body.locator("summary").nth(1).click()
        expect(body.get_by_text('"down"')).to_be_hidden()
        page.get_by_role("button", name="Copy: Response body").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert json.loads(copied) == {"error": {"code": 7, "text": "down"}}
        # What is collapsed stays so when the page is updated.
        page.evaluate(
            "htmx.ajax('GET', location.pathname, {target: '#delivery', swap: 'outerHTML'})"
        )
        expect(body.get_by_text('"down"')).to_be_hidden()
        page.locator("#copy-menu summary").click()
        page.get_by_role("button", name="Python").click()
        expect(page.locator("#curl-copy")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()").startswith("import requests")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Advance to it").click()
        expect(page.locator("[data-summary]")).to_contain_text("1 attempt: 1 failed.")
        # The keys choose among the attempts that are shown.
        expect(page.locator("#attempt2")).to_contain_text("503 failure")
        for key, number in (("j", 1), ("k", 2)):
            page.keyboard.press(key)
            page.wait_for_url(f"**?attempt={number}*")
            expect(page.locator(f"#attempt{number}")).to_have_attribute("aria-current", "true")
        page.get_by_role("link", name="Send with changes").click()
        page.get_by_role("button", name="Add header").click()
        page.get_by_label("Header 2, key").fill("X-New")
        page.get_by_label("Header 2, value").fill("1")
        page.get_by_label("No token").check()
        look(page)
        site.served.next()
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("[data-unsigned]")).to_be_visible()
        request = site.served.next()
        assert request.headers["X-New"] == "1" and request.headers["X-Env"] == "lab"
        assert not {"Authorization", "Authentication"} & request.headers.keys()
        look(page)
    # Its next attempt would be sent during another test.
    site.running.as_vendor("DELETE", f"/notifications/webhooks/{pk}")


def test_chart_filters_and_selected_rows_are_sent_again(site: Site) -> None:
    pk = site.webhook(label="Many")
    trigger(site, pk, 3)
    with site.page(f"/deliveries/?q=webhook:{pk}") as page:
        rows = page.locator("#log tbody tr[data-opens-link]")
        # A bar, and a range that is selected by dragging, are terms of the search.
        page.locator("svg[data-volume] a").last.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**after%3A*")
        expect(page.locator(".chip")).to_have_count(3)
        page.get_by_role("link", name="Show all times").click()
        expect(page.locator(".chip")).to_have_count(1)
        box = page.locator("svg[data-volume]").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 5, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20, steps=3)
        page.mouse.up()
        page.wait_for_url("**after%3A*before%3A*")
        expect(rows).to_have_count(3)
        # A click beside the link opens the row.
        rows.first.locator(".log-time").click()
        expect(page.locator("h1")).to_contain_text("Delivery ")
        page.goto(f"/deliveries/?q=webhook:{pk}")
        page.get_by_label("Select all on this page").check()
        page.get_by_role("button", name="Send 3 selected again").click()
        expect(page.locator("#bulk-progress")).to_contain_text("Sent 3 of 3 again")
        for _ in range(3):
            site.served.next()
        expect(rows).to_have_count(6)
        # A job starts only after the question.
        page.get_by_role("button", name="Send all matching again").click()
        expect(page.locator("h1")).to_have_text("Send 6 deliveries again?")
        page.get_by_role("link", name="Cancel").click()
        expect(rows).to_have_count(6)
        settled(site, pk)
