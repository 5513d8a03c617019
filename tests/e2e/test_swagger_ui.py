"""Swagger UI in a real browser: from our own files, and its calls reach the API."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser import Tab, chromium, tab, window
from tests.processes import Sandbox

pytestmark = pytest.mark.browser

__all__ = ["chromium", "tab", "window"]


def test_swagger_ui_uses_local_files_and_calls_the_api(running: Sandbox, tab: Tab) -> None:
    # Another host name than the sandbox prints: the page sends its calls to its own host.
    address = running.url.replace("127.0.0.1", "localhost")
    page = tab.page
    page.goto(f"{address}/public/v1/docs")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("Value:").fill(f"ApiKey {running.vendor_key}")
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    call = page.locator("#operations-Accounts-accounts_list_listAccount")
    call.locator("button.opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    response = call.locator(".live-responses-table")
    expect(response.locator(".response .response-col_status")).to_contain_text(
        "200", timeout=20_000
    )
    shown = json.loads(response.locator("pre").first.inner_text())
    assert [account["id"] for account in shown] == ["VA-610-138"]
    assert tab.hosts() == {urlsplit(address).netloc}
    assert tab.console_errors == []


@pytest.mark.nightly(reason="the page of the other test has the same policy, and no errors")
def test_documents_have_a_policy_without_scripts_in_the_page(running: Sandbox, tab: Tab) -> None:
    for path in ("/public/v1/docs", "/sandbox/docs"):
        response = tab.page.goto(f"{running.url}{path}")
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "script-src" not in policy
        expect(tab.page.locator(".opblock-tag").first).to_be_visible(timeout=20_000)
    assert tab.console_errors == []
