"""The HTML file of a run in a real browser, from the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.outputs import html
from tests.browser import Tab, chromium, tab, window
from tests.portal import accessible
from tests.unit.checks.reports import mixed, report, with_text

pytestmark = pytest.mark.browser

__all__ = ["chromium", "tab", "window"]

WIDE, NARROW = 1600, 380


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", NARROW)])
def test_page_is_accessible_and_fits(tab: Tab, tmp_path: Path, scheme: str, width: int) -> None:
    file = tmp_path / "report.html"
    long = "https://example.com/" + "x" * 200
    failed = mixed(output="Traceback\n", notes=("A note.",))
    for one in (failed, with_text(long), report(error="It did not start.")):
        file.write_text(html.render(one), encoding="utf-8")
        page = tab.page
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
        assert accessible.violations(page) == []
        assert accessible.overflow(page) <= 0
        assert accessible.spills(page) == []
    # The style is the one that the page's policy allows, and nothing else was loaded.
    assert page.evaluate("getComputedStyle(document.querySelector('.lead')).fontSize") == "18.4px"
    assert (tab.hosts(), tab.console_errors) == (set(), [])


def test_failure_is_reached_and_folded_by_keyboard(tab: Tab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(html.render(mixed()), encoding="utf-8")
    page = tab.page
    page.goto(file.as_uri())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#auth.garbage")
    details = page.locator("details[id='auth.garbage']")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert details.get_attribute("open") is None
    page.keyboard.press("Enter")
    assert details.get_attribute("open") == ""
