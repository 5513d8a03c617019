"""Live pages in a real browser: a change appears by itself, also by polling; hidden pages rest."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests import orders
from tests.browser import Tab
from tests.handlers import handler
from tests.portal.site import Site, chromium, site
from tests.portal.test_every_page import MOST_REQUESTS

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

STREAM = "/live/"


@pytest.fixture(scope="module")
def hook(site: Site) -> str:
    return site.webhook(label="Live")


def streams(tab: Tab) -> int:
    """Return how many streams the page has opened."""
    return sum(urlsplit(url).path == STREAM for url in tab.requested)


def trigger(site: Site, hook: str) -> None:
    site.running.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")
    site.served.next()


def hide(page: Page, hidden: bool) -> None:
    """Let the page believe that its tab is hidden or shown again."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", {configurable: true, value: hidden});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_delivery_appears_by_itself_and_a_hidden_page_closes_its_stream(
    site: Site, hook: str
) -> None:
    with site.open() as tab:
        page = tab.page
        rows = page.locator("#log tr[data-opens-link]")
        with page.expect_response(lambda response: STREAM in response.url):
            page.goto(f"/deliveries/?q=webhook:{hook}")
        before = rows.count()
        assert len(tab.requested) <= MOST_REQUESTS, tab.requested
        trigger(site, hook)
        expect(rows).to_have_count(before + 1)
        expect(rows.first).to_contain_text("200")
        assert streams(tab) == 1
        with page.expect_event("requestfailed", lambda request: STREAM in request.url):
            hide(page, True)
        trigger(site, hook)
        hide(page, False)
        expect(rows).to_have_count(before + 2)
        assert streams(tab) == 2


def parts(tab: Tab) -> int:
    """Return how often the page has requested its log again."""
    return sum("seen=" in url and "/deliveries/" in url for url in tab.requested)


def test_changes_are_requested_once_in_two_seconds(site: Site, hook: str) -> None:
    with site.open(new=True) as tab:
        page = tab.page
        rows = page.locator("#log tr[data-opens-link]")
        page.clock.install()
        page.goto(f"/deliveries/?q=webhook:{hook}")
        before = rows.count()
        note = "({ target }) => { if (target.id === 'log') sentAt = Date.now(); }"
        page.evaluate(f"document.addEventListener('htmx:beforeSend', {note})")
        with page.expect_response(lambda response: "seen=" in response.url):
            page.clock.fast_forward(3_000)
        page.clock.pause_at(page.evaluate("Date.now()") + 100)
        for _ in range(3):
            trigger(site, hook)
        # The page's clock ran until the pause, and there may have been another request meanwhile.
        passed = page.evaluate("Date.now() - sentAt")
        known = parts(tab)
        page.clock.run_for(max(0, 1_900 - passed))
        assert parts(tab) == known
        with page.expect_response(lambda response: "seen=" in response.url):
            page.clock.run_for(2_000)
        page.clock.resume()
        expect(rows).to_have_count(before + 3)


def test_page_requests_the_results_of_its_own_action_at_once(site: Site, hook: str) -> None:
    with site.open(new=True) as tab, handler(None) as held:
        own = site.webhook(label="Own action", external_url=held.url)
        page = tab.page
        page.clock.install()
        page.goto(f"/webhooks/{own}/deliveries/")
        page.clock.pause_at(page.evaluate("Date.now()") + 1_000)
        with page.expect_navigation():
            page.get_by_role("button", name="Trigger now").first.click()
        held.next()
        page.clock.run_for(300)
        held.release.set()
        row = page.locator("#log tr[data-opens-link]")
        with page.expect_response(lambda response: "seen=" in response.url):
            # No time passes for the page.
            orders.until_stats(site.running, own, success_triggers=1)
        page.clock.resume()
        expect(row).to_contain_text("200")


def test_page_polls_if_the_stream_is_refused(site: Site, hook: str) -> None:
    with site.open(logged=("status of 503",)) as tab:
        page = tab.page
        page.route(f"**{STREAM}*", lambda route: route.fulfill(status=503))
        with page.expect_response(lambda response: "seen=" in response.url):
            page.goto(f"/deliveries/?q=webhook:{hook}")
        rows = page.locator("#log tr[data-opens-link]")
        before = rows.count()
        trigger(site, hook)
        expect(rows).to_have_count(before + 1)
        # It does not ask again at once.
        assert streams(tab) == 1
