"""The layout of the pages in a real browser."""

from __future__ import annotations

import pytest

from tests.portal import accessible
from tests.portal.site import DISTRIBUTOR, Site, act_as, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


def test_administrator_acts_as_either_party(site: Site) -> None:
    with site.open("/") as tab:
        page = tab.page
        page.locator(".account-menu summary").click()
        page.locator(f'button[value="{DISTRIBUTOR}"]').click()
        assert "distributor" in page.locator(".account-menu summary").inner_text()
        assert tab.console_errors == []


def test_account_menu_is_beside_the_brand_at_any_width(site: Site) -> None:
    with site.open("/") as tab:
        act_as(tab.page, DISTRIBUTOR)
        for width in (380, 479, 480, 575, 576, 831, 832, 1279, 1280, 1344, 1440, 1600):
            tab.page.set_viewport_size({"width": width, "height": 800})
            brand, menu = (
                tab.page.locator(f".site-header {part}").bounding_box()
                for part in (".brand", ".account-menu")
            )
            assert brand and menu and menu["x"] > brand["x"] + brand["width"], width
            assert brand["y"] < menu["y"] < brand["y"] + brand["height"], width
            assert accessible.overflow(tab.page) <= 0, width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_has_no_accessibility_violation(site: Site, scheme: str) -> None:
    with site.open("/", scheme=scheme, width=380) as tab:
        tab.page.locator(".account-menu summary").click()
        assert accessible.violations(tab.page) == []
        assert accessible.overflow(tab.page) <= 0
