"""Webhooks in a real browser, with a running sandbox and handler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.portal.site import SECRET, Site, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


@pytest.fixture(autouse=True)
def quiet(site: Site) -> Iterator[None]:
    """Reset the handler."""
    yield
    site.served.respond = lambda request: 200
    site.served.calls.queue.clear()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def claims(site: Site, secret: str) -> Any:
    """Return the claims of the next request's token, verified with the secret."""
    return jwt.decode(site.served.next().token, secret, ["HS256"], options={"verify_exp": False})


def test_wizard_creates_a_webhook_that_delivers(site: Site) -> None:
    with site.page("/webhooks/") as page:
        page.get_by_role("link", name="Create webhook").first.click()
        page.get_by_label("Name").fill("Tutorial")
        # Enter submits with Next.
        page.get_by_label("Name").press("Enter")
        for choice in ("Nimbus Backup", "Fulfillment Requests"):
            page.get_by_role("radio", name=re.compile(choice)).check()
            press(page, "Next")
        expect(page.get_by_role("heading", level=1)).to_have_text("Create webhook – Step 4")
        page.get_by_label("Endpoint URL").fill(site.served.url)
        page.get_by_label("Header 1, key").fill("X-One")
        page.get_by_label("Header 1, value").fill("1")
        press(page, "+ Add header")
        expect(page.get_by_label("Header 3, key")).to_be_focused()
        page.keyboard.type("X-Three")
        page.get_by_label("Header 3, value").fill("3")
        secret = page.get_by_label("JWT secret").input_value()
        press(page, "Next")
        area = page.get_by_label("Arbitrary JSON object")
        area.fill('{"purpose": ')
        expect(page.locator(".json-status")).to_contain_text("Invalid JSON")
        area.fill('{"purpose": "demo"}')
        expect(page.locator(".json-status")).to_have_text("Valid JSON object.")
        press(page, "Create")
        for button, message in (
            ("Trigger now", "enable it to trigger it"),
            ("Enable", "enabled"),
            ("Trigger now", "Tutorial triggered."),
        ):
            press(page, button)
            expect(page.get_by_role("status")).to_contain_text(message)
        request = site.served.next()
        assert (request.headers["X-One"], request.headers["X-Three"]) == ("1", "3")
        assert jwt.decode(request.token, secret, ["HS256"])["data"] == {"purpose": "demo"}


def test_statistics_are_polled(site: Site) -> None:
    pk = site.webhook(label="Live")
    with site.open(new=True) as tab:
        page = tab.page
        page.clock.install()
        page.goto(f"/webhooks/{pk}/statistics/")
        expect(page.get_by_text("No attempts yet. Use")).to_be_visible()
        site.served.respond = lambda request: (503, b'{"why": "<b>maintenance</b>"}')
        site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger", None)
        expect(page.locator("#next-trigger")).to_contain_text("in 4 min")
        expect(page.locator("#health")).to_contain_text("1 of 10. Next attempt in 4 min")
        expect(page.locator("#status")).to_contain_text("Backing off")
        page.locator("summary", has_text="View as table").click()
        expect(page.locator("#attempts td", has_text="503")).to_be_visible()
        expect(page.locator("svg.attempts-chart title")).to_have_count(1)
        page.locator("#last-failure").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text('{"why": "<b>maintenance</b>"}')
        # Polling pauses while the dialog is open.
        before = len(tab.requested)
        site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger", None)
        page.clock.run_for(10_000)
        assert len(tab.requested) == before
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.locator("#attempts td", has_text="503")).to_have_count(2)
        # Polling keeps the focus.
        page.locator("#attempts a").last.focus()
        site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger", None)
        expect(page.locator("#attempts td", has_text="503")).to_have_count(3)
        expect(page.locator("#attempts a").last).to_be_focused()
        # After a delete elsewhere the list shows a message.
        site.running.as_vendor("DELETE", f"/notifications/webhooks/{pk}", None)
        page.wait_for_url("**/webhooks/")
        expect(page.get_by_role("status")).to_contain_text("may have been deleted")


def test_secret_is_revealed_copied_and_renewed(site: Site) -> None:
    pk = site.webhook(label="Keeper", headers={"X-Key": "value-of-a-header"})
    with site.page(f"/webhooks/{pk}/http/") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        expect(page.locator("#secret")).to_contain_text("*****")
        page.locator("#secret").get_by_role("button", name="Copy").click()
        expect(page.locator("#secret")).to_contain_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == SECRET
        page.evaluate("navigator.clipboard.writeText('')")
        assert SECRET not in page.content()
        assert "value-of-a-header" not in page.content()
        press(page, "Reveal")
        expect(page.locator("#header-values")).to_contain_text("value-of-a-header")
        expect(page.locator("#secret-text")).to_have_text(SECRET)
        page.locator("#secret").get_by_role("button").click()
        expect(page.locator("#secret")).to_contain_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == SECRET
        page.get_by_role("link", name="Hide").click()
        expect(page.locator("#secret")).to_contain_text("*****")
        page.get_by_role("link", name="New secret").click()
        page.get_by_role("dialog").get_by_role("button", name="Create a new secret").click()
        secret = page.locator("#secret-text").inner_text()
        assert secret.startswith("JWT-") and secret != SECRET
        site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger", None)
        assert claims(site, secret)["webhook_id"] == pk


def test_edit_is_validated_and_saved(site: Site) -> None:
    pk = site.webhook(label="Before", headers={"X-Env": "lab"})
    with site.page(f"/webhooks/{pk}/") as page:
        page.get_by_role("link", name="Edit").click()
        page.get_by_label("Name").fill("After")
        page.get_by_label("Header 2, key").fill("x-env")
        press(page, "Save")
        expect(page.get_by_text("x-env is the same header as X-Env")).to_be_visible()
        page.get_by_label("Clear this header").nth(1).click()
        expect(page.get_by_label("Header 2, key")).to_have_value("")
        press(page, "Save")
        expect(page.get_by_role("heading", level=1)).to_have_text("After")
