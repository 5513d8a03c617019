"""A real browser for tests of pages: Debian's Chromium, headless, for this machine alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# Without these it looks for its maker's hosts at every start.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the browser for a module, whose tests use no ORM; skip loudly where there is none.

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
class Watched:
    """A page, what it has asked for, and what its console has complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hosts(self) -> set[str]:
        """Return the hosts that the page has asked anything of."""
        return {urlsplit(url).netloc for url in self.asked if url.startswith("http")}


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Watched]:
    """An empty page in a context of its own."""
    context = chromium.new_context()
    watched = Watched(context.new_page())
    watched.page.on("request", lambda request: watched.asked.append(request.url))
    watched.page.on(
        "console",
        lambda said: watched.complaints.append(said.text) if said.type == "error" else None,
    )
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    yield watched
    context.close()
