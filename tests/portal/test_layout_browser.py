"""The layout of the pages in a real browser."""

from __future__ import annotations

import pytest

from tests.lanes import drawn
from tests.portal import accessible
from tests.portal.site import DISTRIBUTOR, Site, chromium, site

pytestmark = [pytest.mark.browser, drawn(2)]

__all__ = ["chromium", "site"]


def test_administrator_acts_as_either_party(site: Site) -> None:
    with site.open("/") as tab:
        page = tab.page
        page.locator(".account-menu summary").click()
        page.locator(f'button[value="{DISTRIBUTOR}"]').click()
        assert "distributor" in page.locator(".account-menu summary").inner_text()
        assert tab.console_errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_has_no_accessibility_violation(site: Site, scheme: str) -> None:
    with site.open("/", scheme=scheme, width=380) as tab:
        tab.page.locator(".account-menu summary").click()
        assert accessible.violations(tab.page) == []
        assert accessible.overflow(tab.page) <= 0
