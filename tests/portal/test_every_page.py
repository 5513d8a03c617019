"""Checks of every page of SHOTS in a real browser, in light and dark, wide and narrow.

No violations of axe, no overflow, no requests to other hosts, at most six requests and 150 kB that
are sent (compressed), and the same title without scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import Tab, chromium, open_tab
from tests.handlers import handler
from tests.marks import nightly
from tests.portal import accessible
from tests.portal.scenario import Scenario, prepare
from tests.portal.shots import NOBODY, SHOTS, Shot
from tests.portal.site import Site, act_as, cookies
from tests.processes import sandbox
from tests.shared_sandbox import sign_in

pytestmark = pytest.mark.browser

__all__ = ["chromium"]

WIDE, NARROW = 1600, 380
MOST_REQUESTS, MOST_BYTES = 6, 150_000
MOST_PARSED = 225_000  # the log has 50 rows, each with its columns and the bars of the chart
FRESH = [shot for shot in SHOTS if shot.fresh]
# The narrow pictures are of pages that the others are of, too.
PAGES = [shot for shot in SHOTS if not shot.fresh and shot.width > NARROW]
# The pages with most kinds of elements in every run, the others in `make nightly`.
SAMPLE = {
    "home", "wizard-http", "deliveries", "delivery", "timeline", "palette", "queue-board-picked",
    "queue-object", "checks-webhook", "inquiring-form", "acting-as",
}  # fmt: skip
SAMPLED = [
    shot if shot.name in SAMPLE else nightly(shot, reason="other pages have its elements")
    for shot in PAGES
]


@dataclass
class Windows:
    """The tabs of a browser with scripts and of one without, by viewer."""

    site: Site
    scenario: Scenario
    tabs: dict[tuple[str, bool], Tab] = field(default_factory=dict)
    # By name of the shot.
    titles: dict[str, str] = field(default_factory=dict)
    acting: str = ""

    def show(self, shot: Shot, *, script: bool = True) -> Tab:
        """Return a tab with the page, and only what this visit has recorded."""
        tab = self._tab(shot.viewer, script)
        if shot.viewer and self.acting != shot.viewer:
            act_as(self._tab(shot.viewer, True).page, shot.viewer)
            self.acting = shot.viewer
        tab.requested.clear()
        tab.console_errors.clear()
        # Contrast cannot be measured during a transition of colors.
        tab.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        tab.page.set_viewport_size({"width": WIDE, "height": 900})
        response = tab.page.goto(shot.address(self.scenario))
        assert response is not None and response.status == shot.status, shot.name
        if script:
            self.titles[shot.name] = _title(tab.page)
        return tab

    def title(self, shot: Shot) -> str:
        """Return the page's title with scripts, of the latest visit if there was one."""
        if shot.name not in self.titles:
            self.show(shot)
        return self.titles[shot.name]

    def _tab(self, viewer: str, script: bool) -> Tab:
        key = ("somebody" if viewer else NOBODY, script)
        if key not in self.tabs:
            self.tabs[key] = open_tab(self._context(bool(viewer), script))
        return self.tabs[key]

    def _context(self, signed_in: bool, script: bool) -> BrowserContext:
        context = self.site.browser.new_context(
            base_url=self.site.running.url, java_script_enabled=script
        )
        context.add_cookies(self.site.cookies if signed_in else [])
        return context


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Site]:
    """A sandbox of its own: no reset empties the timeline."""
    with sandbox(tmp_path_factory.mktemp("pages")) as running, handler() as served:
        yield Site(running, served, chromium, cookies(sign_in(running), running.url))
        # tests/e2e/test_restart.py tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def fresh(site: Site) -> Iterator[Windows]:
    """The pages of a fresh sandbox."""
    with _closing(Windows(site, Scenario(site.running))) as windows:
        yield windows


@pytest.fixture(scope="module")
def windows(site: Site) -> Iterator[Windows]:
    """The pages of the prepared scenario."""
    scenario = Scenario(site.running)
    prepare(scenario, site.served)
    with _closing(Windows(site, scenario)) as windows:
        yield windows


@contextmanager
def _closing(windows: Windows) -> Iterator[Windows]:
    yield windows
    windows.scenario.close()
    for tab in windows.tabs.values():
        tab.page.context.close()


def _look(windows: Windows, shot: Shot, dark_rules: Sequence[str] = accessible.LOOK_RULES) -> None:
    tab = windows.show(shot)
    page = tab.page
    _weigh(page)
    shot.act(page)
    assert accessible.violations(page) == [], "light"
    assert accessible.overflow(page) <= 0, WIDE
    assert accessible.spills(page) == [], WIDE
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert accessible.violations(page, dark_rules) == [], "dark"
    assert accessible.overflow(page) <= 0, NARROW
    assert accessible.spills(page) == [], NARROW
    # Browsers log an error when the document itself is an error page.
    errors = [each for each in tab.console_errors if f"status of {shot.status}" not in each]
    assert errors == []
    hosts = {urlsplit(url).netloc for url in tab.requested}
    assert hosts == {urlsplit(windows.site.running.url).netloc}


def _weigh(page: Page) -> None:
    """Check the number and size of the files of a page, before any action in it."""
    files = page.evaluate(
        # Without what the page asks later, to learn whether it is up to date.
        """["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
           .filter((file) => file.initiatorType !== "xmlhttprequest")
           .map((file) => [file.name, file.encodedBodySize, file.decodedBodySize])"""
    )
    assert len(files) <= MOST_REQUESTS, files
    assert sum(sent for _, sent, _ in files) <= MOST_BYTES, files
    assert sum(size for _, _, size in files) <= MOST_PARSED, files


@pytest.mark.parametrize("shot", FRESH, ids=lambda shot: shot.name)
def test_empty_page_is_accessible_and_fits(fresh: Windows, shot: Shot) -> None:
    _look(fresh, shot)


@pytest.mark.parametrize("shot", SAMPLED, ids=lambda shot: shot.name)
def test_page_is_accessible_and_fits(windows: Windows, shot: Shot) -> None:
    _look(windows, shot)


@pytest.mark.nightly(reason="each page once more, in dark colors")
@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_dark_page_has_no_violations(windows: Windows, shot: Shot) -> None:
    _look(windows, shot, dark_rules=())


@pytest.mark.parametrize("shot", SAMPLED, ids=lambda shot: shot.name)
def test_page_has_the_same_title_without_scripts(windows: Windows, shot: Shot) -> None:
    title = windows.title(shot)
    page = windows.show(shot, script=False).page
    assert _title(page) == title != ""
    assert page.locator(".for-script:visible").count() == 0


def _title(page: Page) -> str:
    return page.locator("h1").inner_text()
