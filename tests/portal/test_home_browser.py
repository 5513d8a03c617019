"""Home, products and a password in a real browser, on a running sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import processes
from tests.browser import Tab
from tests.portal.site import SECRET, Site, chromium, site
from tests.processes import manage

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]
SUITE, METER = "PRD-362-917-440", "PRD-590-284-731"
# The page is requested every 5 s, and the machine may be busy.
SOON = 30_000


def sample(site: Site, product: str) -> None:
    body = {"queue": "fulfillment", "type": "purchase", "product": product}
    assert site.running.call("POST", "/sandbox/queue/samples", body).ok


@contextmanager
def entered(site: Site, name: str) -> Iterator[Tab]:
    """Open Home as another user than the administrator of the other tests."""
    done = processes.run(manage("signin", name), site.running.process.env)
    with replace(site, cookies=[]).open(done.stdout.strip()) as tab:
        yield tab


def component(page: Page, name: str) -> Locator:
    return page.locator(f'[data-component="{name}"]')


def test_all_components_of_a_sandbox_are_running(site: Site) -> None:
    with site.open("/") as tab:
        expect(component(tab.page, "Scheduler")).to_contain_text("Last heartbeat", timeout=SOON)
        for name in ("Web", "Worker", "Scheduler", "Broker", "Database"):
            expect(component(tab.page, name)).to_have_attribute("data-state", "good")


def test_polling_updates_the_page_and_the_steps(site: Site) -> None:
    # The distributor has no webhook until this test makes one.
    with entered(site, "distributor") as tab:
        page = tab.page
        expect(page.get_by_role("heading", name="First steps")).to_be_visible()
        expect(page.locator("#step-webhook")).to_have_text("2")
        page.get_by_text("Or in a terminal").click()
        hook = site.running.as_distributor(
            "POST",
            "/notifications/webhooks",
            {
                "label": "First",
                "object_class": "fulfillment_request",
                "product_id": METER,
                "external_url": site.served.url,
                "active": True,
                "jwt_secret": SECRET,
            },
        )
        sample(site, METER)
        expect(page.locator("#step-delivery")).to_contain_text("Done", timeout=SOON)
        expect(page.locator("#step-handler")).to_contain_text("Done", timeout=SOON)
        expect(page.locator(".last-hour .figures")).to_contain_text("Succeeded")
        assert page.locator(".bar-success").count() >= 1
        # Polling leaves the expanded command open.
        expect(page.locator("#command-order")).to_be_visible()
        site.running.as_distributor("DELETE", f"/notifications/webhooks/{hook['id']}")


def test_commands_are_copied_with_the_secrets_that_they_mask(site: Site) -> None:
    with entered(site, "distributor") as tab:
        page = tab.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("link", name="Other").click()
        command = page.locator("#command-handler")
        expect(command).to_contain_text("••••••••")
        page.locator(".command", has=command).get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert site.running.provider_key in page.evaluate("navigator.clipboard.readText()")
        assert site.running.provider_key not in page.content()
        page.get_by_role("button", name="Show them").click()
        expect(command).to_contain_text(site.running.provider_key)
        page.get_by_role("link", name="Mask them").click()
        expect(command).to_contain_text("••••••••")
        page.get_by_role("button", name="Create webhook").click()
        expect(page.get_by_role("status")).to_contain_text("Webhook created.")
        expect(page.locator("#step-webhook")).to_contain_text("Done")
        page.get_by_role("link", name="View webhook").click()
        expect(page.locator("#status")).to_have_text("New")
        page.goto("/")
        page.get_by_role("button", name="Hide").click()
        expect(page.get_by_role("heading", name="First steps")).to_have_count(0)
        for hook in site.running.as_distributor("GET", "/notifications/webhooks"):
            site.running.as_distributor("DELETE", f"/notifications/webhooks/{hook['id']}")


@pytest.mark.nightly(reason="waits for polls")
def test_page_says_that_polling_fails(site: Site) -> None:
    with site.page("/", logged=("ERR_FAILED", "htmx:sendError", "htmx:afterRequest")) as page:
        page.route("**/home/live/*", lambda route: route.abort())
        hook = site.webhook(label="Changes the page")
        expect(page.locator("#stale")).to_be_visible(timeout=SOON)
        page.unroute("**/home/live/*")
        expect(page.locator("#stale")).to_be_hidden(timeout=SOON)
        site.running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
