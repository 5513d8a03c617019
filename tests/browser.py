"""A real browser for tests of pages: Debian's Chromium, headless, for loopback only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
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

    def show(self, width: int = 1280, height: int = 900, scheme: Any = "light") -> None:
        """Set what pages depend on besides their address."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme, reduced_motion="no-preference")

    def clear(self) -> None:
        """Leave the page, and forget what it has stored and recorded."""
        context = self.page.context
        self.page.unroute_all()
        if self.page.url.startswith("http"):
            self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.page.goto("about:blank")
        # Without its cookies, a live page would go to the sign-in meanwhile.
        context.clear_permissions()
        context.clear_cookies()
        self.requested.clear()
        self.console_errors.clear()

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


@pytest.fixture(scope="module")
def window(chromium: Browser) -> Tab:
    """A page that tests of a module use by `tab`, because a new one takes half a second of CPU."""
    return open_tab(chromium.new_context())


@pytest.fixture
def tab(window: Tab) -> Iterator[Tab]:
    """An empty page, without cookies and stored data."""
    window.show()
    yield window
    window.clear()
