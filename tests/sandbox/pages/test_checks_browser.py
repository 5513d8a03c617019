"""Checks in a real browser: a handler that accepts calls without a token is found out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.portal.site import PLAIN, SECRET, Site, chromium, site
from tests.processes import Process, environment, free_port, pause
from tests.sandbox.pages.test_clock_bar_browser import look

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

TIMEOUT = 60_000  # milliseconds


@pytest.fixture
def handler_url(site: Site, tmp_path: Path) -> Iterator[str]:
    """The URL of a handler that accepts every call without a token."""
    port = free_port()
    variables = {
        "JWT_SECRET": SECRET,
        "CONNECT_API_KEY": f"ApiKey {site.running.vendor_key}",
        "CONNECT_API_URL": f"{site.running.url}/public/v1",
        "PORT": str(port),
    }
    command = [sys.executable, "tests/checks/handlers/__main__.py", "accepts_calls_without_token"]
    process = Process(command, environment(tmp_path, **variables), tmp_path / "log").start()
    while "Listening at" not in process.printed:
        assert process.popen.poll() is None, process.printed
        pause()
    yield f"http://127.0.0.1:{port}/"
    process.stop()


def test_handler_is_checked_and_the_sandbox_restored(site: Site, handler_url: str) -> None:
    webhook = site.webhook(external_url=handler_url, product_id=PLAIN)
    with site.open("/checks/") as tab:
        page = tab.page
        page.get_by_role("link", name="Check Orders").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Check Orders")
        page.get_by_label("Only these checks").fill("auth.no_header")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        look(page)
        expect(page.locator("#verdict")).to_have_text("Fail", timeout=TIMEOUT)
        failed = page.locator('[id="auth.no_header"]')
        expect(failed).to_have_attribute("open", "")
        expect(failed).to_contain_text(f"--webhook {webhook}")
        expect(page.locator('[id="auth.control"]')).to_contain_text("pass")
        look(page)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download HTML").click()
        assert "<h1>Fail</h1>" in download.value.path().read_text()
        assert SECRET not in page.content()
        assert tab.console_errors == []
        with site.open(f"/webhooks/{webhook}/statistics/") as other:
            expect(other.page.locator("[data-checks]")).to_contain_text("1 passed, 1 failed")
        with site.open(page.url, script=False) as plain:
            expect(plain.page.locator("#verdict")).to_have_text("Fail")
    assert site.running.as_vendor("GET", f"/notifications/webhooks/{webhook}")["active"]
    assert "before-check" not in str(site.running.call("GET", "/sandbox/snapshots").json())
