"""Checks of every page of SHOTS in a real browser, in light and dark, wide and narrow.

No violations of axe, no overflow, no requests to other hosts, at most six requests and 150 kB, and
the same title without scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser import chromium
from tests.portal import accessible
from tests.portal.shots import NOBODY, SHOTS, Shot
from tests.portal.site import Site, act_as, site
from tests.portal.story import Story, tell

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]

WIDE, NARROW = 1600, 380
MOST_REQUESTS, MOST_BYTES = 6, 150_000
FRESH = [shot for shot in SHOTS if shot.fresh]
# The narrow pictures are of pages that the others are of, too.
PAGES = [shot for shot in SHOTS if not shot.fresh and shot.width > NARROW]


@dataclass
class Window:
    """A window, what it has asked for, and what its console has complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@dataclass
class Windows:
    """The windows of a browser with script and of one without, as each of those who look."""

    site: Site
    story: Story
    kept: dict[tuple[str, bool], Window] = field(default_factory=dict)
    # By name of the shot.
    titles: dict[str, str] = field(default_factory=dict)
    acting: str = ""

    def show(self, shot: Shot, *, script: bool = True) -> Window:
        """Return a window with the page, and only what has happened since in it."""
        window = self._window(shot.who, script)
        if shot.who and self.acting != shot.who:
            act_as(self._window(shot.who, True).page, shot.who)
            self.acting = shot.who
        window.asked.clear()
        window.complaints.clear()
        # Colours on their way from light to dark would be neither.
        window.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        window.page.set_viewport_size({"width": WIDE, "height": 900})
        response = window.page.goto(shot.address(self.story))
        assert response is not None and response.status == shot.status, shot.name
        if script:
            self.titles[shot.name] = _title(window.page)
        return window

    def title(self, shot: Shot) -> str:
        """Return the page's title with scripts, of the latest visit if there was one."""
        if shot.name not in self.titles:
            self.show(shot)
        return self.titles[shot.name]

    def _window(self, who: str, script: bool) -> Window:
        key = ("somebody" if who else NOBODY, script)
        if key not in self.kept:
            self.kept[key] = _opened(self._context(bool(who), script))
        return self.kept[key]

    def _context(self, signed_in: bool, script: bool) -> BrowserContext:
        return self.site.browser.new_context(
            base_url=self.site.running.url,
            storage_state=self.site.state if signed_in else None,
            java_script_enabled=script,
        )


def _opened(context: BrowserContext) -> Window:
    window = Window(context.new_page())
    window.page.on("request", lambda request: window.asked.append(request.url))
    window.page.on(
        "console",
        lambda said: window.complaints.append(said.text) if said.type == "error" else None,
    )
    window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
    return window


@pytest.fixture(scope="module")
def fresh(site: Site) -> Iterator[Windows]:
    """The pages of a sandbox in which nothing has happened."""
    with _closing(Windows(site, Story(site.running))) as windows:
        yield windows


@pytest.fixture(scope="module")
def windows(site: Site) -> Iterator[Windows]:
    """The pages after the story."""
    story = Story(site.running)
    tell(story, site.served)
    with _closing(Windows(site, story)) as windows:
        yield windows


@contextmanager
def _closing(windows: Windows) -> Iterator[Windows]:
    yield windows
    for window in windows.kept.values():
        window.page.context.close()


def _look(windows: Windows, shot: Shot, dark_rules: Sequence[str] = accessible.LOOK_RULES) -> None:
    window = windows.show(shot)
    page = window.page
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
    # A browser says so of a page that isn't there.
    said = [each for each in window.complaints if f"status of {shot.status}" not in each]
    assert said == []
    hosts = {urlsplit(url).netloc for url in window.asked}
    assert hosts == {urlsplit(windows.site.running.url).netloc}


def _weigh(page: Page) -> None:
    """Count what the page itself costs, before anything is done in it."""
    files = page.evaluate(
        """["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
           .map((file) => [file.name, file.decodedBodySize])"""
    )
    assert len(files) <= MOST_REQUESTS, files
    assert sum(size for _, size in files) <= MOST_BYTES, files


@pytest.mark.parametrize("shot", FRESH, ids=lambda shot: shot.name)
def test_empty_page_is_accessible_and_fits(fresh: Windows, shot: Shot) -> None:
    _look(fresh, shot)


@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_page_is_accessible_and_fits(windows: Windows, shot: Shot) -> None:
    _look(windows, shot)


@pytest.mark.nightly
@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_page_breaks_no_rule_in_the_dark(windows: Windows, shot: Shot) -> None:
    _look(windows, shot, dark_rules=())


@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_page_has_the_same_title_without_scripts(windows: Windows, shot: Shot) -> None:
    title = windows.title(shot)
    assert title and _title(windows.show(shot, script=False).page) == title


def _title(page: Page) -> str:
    return page.locator("h1").inner_text()
