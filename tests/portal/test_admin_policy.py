"""The admin works under its Content-Security-Policy, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Tab, chromium
from tests.marks import nightly
from tests.portal.site import SECRET, Site, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

CANARY = "canary-of-a-header"


@pytest.fixture
def tab(site: Site) -> Iterator[Tab]:
    """A tab whose console has no violation of the policy at the end; it may have other errors."""
    with site.open("/admin/", logged="") as tab:
        yield tab
        assert not [text for text in tab.console_errors if "Content Security Policy" in text]


@pytest.mark.parametrize("step", [8, nightly(1, reason="test_admin_pages reads every model's")])
def test_admin_pages_have_no_policy_violation(site: Site, tab: Tab, step: int) -> None:
    page = tab.page
    response = page.goto("/admin/")
    assert response and "default-src 'self'" in response.headers["content-security-policy"]
    models = page.locator("#content-main th a").evaluate_all("all => all.map(a => a.href)")
    assert len(models) > 15
    for address in models[::step]:
        page.goto(address)
        forms = page.locator("#result_list th a, .addlink")
        addresses = forms.evaluate_all("all => all.map(a => a.href)")
        for form in {each.split("?")[0]: each for each in addresses[:1] + addresses[-1:]}.values():
            page.goto(form)
            expect(page.locator("#content h1")).to_be_visible()


def test_admin_widgets_work(site: Site, tab: Tab) -> None:
    pk = site.webhook(headers={"X-Key": CANARY})
    page = tab.page
    page.goto("/admin/webhooks/webhook/")
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


def test_portal_reveals_header_values_with_the_secret(site: Site) -> None:
    pk = site.webhook(headers={"X-Key": CANARY, "Accept": "text/plain"})
    with site.open(f"/webhooks/{pk}/http/") as tab:
        page = tab.page
        values = page.locator("#header-values")
        expect(values).to_contain_text("••••••••")
        expect(values).to_contain_text("text/plain")
        page.get_by_role("button", name="Reveal").click()
        expect(values).to_contain_text(CANARY)
        expect(page.locator("#secret")).to_contain_text(SECRET)
        assert page.locator("#header-values").count() == 1
    trigger(site, pk)
    with site.open(f"/deliveries/?q=webhook:{pk}") as tab:
        page = tab.page
        page.goto(newest(page))
        headers = page.locator("#request-headers")
        expect(headers).to_contain_text("••••••••")
        headers.locator("summary").click()
        page.locator("#reveal-headers").click()
        expect(page.locator("#request-headers")).to_contain_text(CANARY)


def trigger(site: Site, pk: str) -> None:
    site.running.as_vendor("POST", f"/notifications/webhooks/{pk}/trigger")
    request = site.served.next()
    assert request.headers["X-Key"] == CANARY, json.dumps(dict(request.headers))


def newest(page: Page) -> str:
    link = page.locator("[data-step]").first
    expect(link).to_be_visible(timeout=10_000)
    address = link.get_attribute("href")
    assert address
    return address
