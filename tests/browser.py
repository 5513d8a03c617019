"""A real browser for tests of pages: Debian's Chromium, headless, for loopback only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# Without these, Chromium contacts its vendor's hosts at every start.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A key scrolls at once, not by an animation that goes on beside the test.
    "--disable-smooth-scrolling",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the browser for a module, whose tests use no ORM; skip with a message if there is none.

    Playwright keeps an event loop in this thread until it is stopped, and Django refuses to
    touch the database beside one.
    """
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium is not installed: the tests in a browser were not run")
    as_root = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=[*QUIET, *as_root])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page, the URLs that it has requested, and the errors in its console."""

    page: Page
    requested: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)

    def hosts(self) -> set[str]:
        """Return the hosts that the page has sent requests to."""
        return {urlsplit(url).netloc for url in self.requested if url.startswith("http")}


def open_tab(context: BrowserContext) -> Tab:
    """Open an empty page, and record its requests and console errors."""
    tab = Tab(context.new_page())
    tab.page.on("request", lambda request: tab.requested.append(request.url))
    tab.page.on(
        "console",
        lambda message: (
            tab.console_errors.append(message.text) if message.type == "error" else None
        ),
    )
    tab.page.on("pageerror", lambda error: tab.console_errors.append(str(error)))
    return tab


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Tab]:
    """An empty page in its own context."""
    context = chromium.new_context()
    yield open_tab(context)
    context.close()
