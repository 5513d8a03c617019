"""The layout of the pages in a real browser."""

from __future__ import annotations

import pytest

from tests.portal import accessible
from tests.portal.site import DISTRIBUTOR, Site, act_as, chromium, site

pytestmark = pytest.mark.browser

__all__ = ["chromium", "site"]


def test_account_menu_shows_the_account_beside_the_brand_at_any_width(site: Site) -> None:
    with site.open("/") as tab:
        act_as(tab.page, DISTRIBUTOR)
        assert "distributor" in tab.page.locator(".account-menu summary").inner_text()
        for width in (380, 479, 480, 575, 576, 831, 832, 1279, 1280, 1344, 1440, 1600):
            tab.page.set_viewport_size({"width": width, "height": 800})
            brand, menu = (
                tab.page.locator(f".site-header {part}").bounding_box()
                for part in (".brand", ".account-menu")
            )
            assert brand and menu and menu["x"] > brand["x"] + brand["width"], width
            assert brand["y"] < menu["y"] < brand["y"] + brand["height"], width
            assert accessible.overflow(tab.page) <= 0, width
