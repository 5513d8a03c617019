"""A running sandbox with a handler, and its pages in a real browser, signed in.

Modules share one sandbox, one after the other. They use no ORM: see `tests.browser.chromium`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.browser import Tab, chromium, open_tab
from tests.handlers import Handler, handler
from tests.processes import Sandbox

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
    # Those of the administrator; none for a visitor who has not signed in.
    cookies: list[Any]
    # Tabs that are not in use, with and without scripts: a new one takes half a second of CPU time.
    tabs: dict[bool, Tab] = field(default_factory=dict)

    @contextmanager
    def open(
        self,
        path: str = "",
        *,
        width: int = 1280,
        scheme: Any = "light",
        script: bool = True,
        new: bool = False,
        logged: tuple[str, ...] = (),
    ) -> Iterator[Tab]:
        """Open a page in a tab, a `new` one for tests that change the clock of the page.

        At the end its console may only have errors that contain one of `logged`.
        """
        tab = (None if new else self.tabs.pop(script, None)) or open_tab(
            self.browser.new_context(base_url=self.running.url, java_script_enabled=script)
        )
        try:
            tab.page.context.add_cookies(self.cookies)
            tab.show(width, scheme=scheme)
            if path:
                tab.page.goto(path)
            yield tab
            assert tab.hosts() <= {urlsplit(self.running.url).netloc}
            errors = [e for e in tab.console_errors if not any(part in e for part in logged)]
            assert not errors, errors
        except BaseException:
            tab.page.context.close()
            raise
        if new or script in self.tabs:
            tab.page.context.close()
        else:
            tab.clear()
            self.tabs[script] = tab

    @contextmanager
    def page(self, path: str = "", **more: Any) -> Iterator[Page]:
        """Open a page in a tab, as `open` does."""
        with self.open(path, **more) as tab:
            yield tab.page

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


def act_as(page: Page, account: str) -> None:
    """Let the administrator act as an account, in all windows of the sandbox."""
    page.goto("/password/")
    page.locator(".account-menu summary").click()
    page.locator(f'button[name="account"][value="{account}"]').click()
    page.wait_for_load_state()


@pytest.fixture(scope="module")
def site(running: Sandbox, session: requests.Session, chromium: Browser) -> Iterator[Site]:
    """A sandbox with the demo data, whose administrator acts as the vendor."""
    with handler() as served:
        yield Site(running, served, chromium, cookies(session, running.url))


def cookies(session: requests.Session, url: str) -> list[Any]:
    """Return the cookies of a session in the form that a browser takes."""
    return [{"name": each.name, "value": each.value, "url": url} for each in session.cookies]
