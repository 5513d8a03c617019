"""A running sandbox with a handler, and its pages in a real browser, signed in.

A module's tests share one sandbox. They use no ORM: see `tests.browser.chromium`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import Tab, chromium, open_tab
from tests.handlers import Handler, handler
from tests.processes import Sandbox, pause, sandbox

__all__ = ["chromium", "site"]

PLAIN = "PRD-814-505-018"
VENDOR, DISTRIBUTOR = "VA-610-138", "PA-318-442"
SECRET = "JWT-secret-of-thirty-two-bytes-or-more"


@dataclass
class Site:
    """The sandbox, its handler, and the browser, in which the administrator is signed in."""

    running: Sandbox
    served: Handler
    browser: Browser
    state: Any

    @contextmanager
    def open(
        self, path: str = "", *, width: int = 1280, scheme: Any = "light", script: bool = True
    ) -> Iterator[Tab]:
        """Open a page in its own window."""
        context = self.browser.new_context(
            base_url=self.running.url,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
            storage_state=self.state,
        )
        try:
            tab = open_tab(context)
            if path:
                tab.page.goto(path)
            yield tab
            assert tab.hosts() <= {urlsplit(self.running.url).netloc}
        finally:
            context.close()

    def webhook(self, **fields: Any) -> str:
        """Create a webhook of the vendor that calls the handler; return its id."""
        body = {
            "label": "Orders",
            "type": "event",
            "object_class": "fulfillment_request",
            "active": True,
            "external_url": self.served.url,
            "http_method": "POST",
            "product_id": PLAIN,
            "jwt_secret": SECRET,
            **fields,
        }
        return str(self.running.as_vendor("POST", "/notifications/webhooks", body)["id"])


def printed_link(running: Sandbox) -> str:
    """Return the sign-in link that the sandbox prints after it starts to respond."""
    deadline = time.monotonic() + 60
    while "Press Ctrl-C to stop." not in running.process.printed:
        assert time.monotonic() < deadline, running.process.printed
        pause()
    match = re.search(rf"{running.url}/sign-in/\S+", running.process.printed)
    assert match, running.process.printed
    return match[0]


def act_as(page: Page, account: str) -> None:
    """Let the administrator act as an account, in all windows of the sandbox."""
    page.goto("/password/")
    page.locator(".account-menu summary").click()
    page.locator(f'button[name="account"][value="{account}"]').click()
    page.wait_for_load_state()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Site]:
    """A sandbox whose administrator has signed in by the printed link and acts as the vendor."""
    with sandbox(tmp_path_factory.mktemp("site")) as running, handler() as served:
        context = chromium.new_context()
        context.new_page().goto(printed_link(running))
        state = context.storage_state()
        context.close()
        yield Site(running, served, chromium, state)
