"""Accessibility violations of a page by axe, and overflow of the page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from playwright.sync_api import Page

from tests import environments

_PACKAGE = Path(__file__).parent / "axe" / "package.json"


@lru_cache(maxsize=1)
def _axe() -> str:
    """Return axe's source; skip with a message if npm cannot install it."""
    return (environments.node("axe", _PACKAGE) / "node_modules/axe-core/axe.min.js").read_text()


# The rules whose result depends on colors and widths.
LOOK_RULES = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")


def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return the violations of these rules, or of all, with their elements."""
    # Bypass the page's policy, which blocks injected scripts.
    page.evaluate(_axe())
    result = page.evaluate(
        """(rules) => axe.run(document, {
             resultTypes: ["violations"],
             ...(rules.length ? {runOnly: {type: "rule", values: rules}} : {}),
           })""",
        list(rules),
    )
    assert result["passes"], "axe has looked at nothing"
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']]}"
        for one in result["violations"]
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def spills(page: Page) -> list[str]:
    """Return the elements that are wider than their parent, and overlap their neighbors."""
    elements: list[str] = page.evaluate(
        """[...document.querySelectorAll("main *, header *")].filter((e) =>
             e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1
             && getComputedStyle(e).overflowX === "visible" && e.checkVisibility()
             && !e.closest("svg, .menu, .visually-hidden, thead") && !e.matches("table, .table"))
           .map((e) => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`)"""
    )
    return elements
