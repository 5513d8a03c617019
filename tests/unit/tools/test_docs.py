"""Links in the documentation resolve, and the paths that it names exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "examples/*/*.md",
        "benchmarks/*.md",
        "pytest-connect-sim/*.md",
    )
    for path in ROOT.glob(pattern)
)
# Pages for contributors: each path in backticks is a file or folder of the project.
MAPS = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]
# Made by the first start.
DATA = "var/"
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:\.?\w+/)[\w./]*)`")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        # `../../commits` is an address of the repository's site.
        if path.startswith(("http:", "https:", "../../commits")):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def test_links_resolve() -> None:
    assert [(page.name, link) for page in PAGES for link in broken_links(page)] == []


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)
def test_named_paths_exist(page: Path) -> None:
    names = [name for name in PATH.findall(page.read_text()) if name != DATA]
    assert names and [name for name in names if not (ROOT / name).exists()] == []
