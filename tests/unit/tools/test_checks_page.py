"""The page of the checks is written from their catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sandbox.checks.catalog import CHECKS
from sandbox.checks.model import Need
from sandbox.checks.outputs.marks import DOCS, anchor
from tests.html import parse
from tests.unit.checks.reports import check
from tools import checks_page

ROOT = Path(__file__).resolve().parents[3]


def test_page_is_current() -> None:
    page = (ROOT / DOCS).read_text()
    assert checks_page.updated(page, CHECKS) == page


def test_section_has_all_texts_of_a_check() -> None:
    one = check("crash.killed", needs=frozenset({Need.EVENT, Need.PROCESS}), fix="Use `a_b <c>`.")
    text = checks_page.render([check("auth.control"), one])
    assert "| crash | [killed](#crashkilled) |" in text
    assert text.endswith(
        "### crash.killed\n\n"
        "MUST. A token of garbage is refused.\n\n"
        "- **Needs:** a handler of events, a handler that the check starts (--run)\n"
        "- **Sent:** A request whose token is no JWT.\n"
        "- **Expected:** A status from 400 to 499, and no effect.\n"
        "- **Why:** Anybody who knows the URL could send it.\n"
        "- **Fix:** Use `a_b <c>`.\n"
    )
    assert "\nMUST, control. A token of garbage is refused.\n" in text


def test_anchors_of_the_catalog_are_different() -> None:
    anchors = [anchor(each.id) for each in CHECKS]
    assert len(set(anchors)) == len(anchors)


@given(st.text(st.characters(exclude_characters="`", categories=("L", "N", "P", "S", "Zs"))))
@example("- a 1. b # c = d + e ~ 2) f")
def test_text_is_shown_as_it_is(text: str) -> None:
    # Of several lines, which begin with different parts of it.
    why = f"x {text} {'y ' * 50}{text} {'y ' * 49}{text}"
    page = parse(MarkdownIt("commonmark").render(checks_page.render([check(why=why)])))
    items = ["".join(item.raw_text.split()) for item in page.all("li")]
    assert len(items) == 5 and f"Why:{''.join(why.split())}" in items


def test_other_page_is_refused_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / DOCS
    page.parent.mkdir()
    page.write_text(f"# Checks\n\n{checks_page.MARKER}## Old\n")
    monkeypatch.setattr(checks_page, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["checks_page.py"])
    with pytest.raises(SystemExit, match=r"run tools/checks_page\.py --write"):
        checks_page.main()
    monkeypatch.setattr("sys.argv", ["checks_page.py", "--write"])
    checks_page.main()
    monkeypatch.setattr("sys.argv", ["checks_page.py"])
    checks_page.main()
    text = page.read_text()
    assert text.startswith("# Checks\n\n") and "## Old" not in text and "### auth.get" in text


def test_page_without_the_marker_is_refused() -> None:
    with pytest.raises(SystemExit, match="has no line <!--"):
        checks_page.updated("# Checks\n", CHECKS)
