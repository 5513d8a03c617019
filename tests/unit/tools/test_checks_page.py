"""The pages of the checks are written from their catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from checks.catalog import CHECKS
from checks.model import Need
from tests.html import parse
from tests.unit.checks.reports import check
from tools import checks_page

ROOT = Path(__file__).resolve().parents[3]


def test_pages_are_current() -> None:
    pages = checks_page.pages((ROOT / checks_page.INDEX).read_text(), CHECKS)
    assert {path: (ROOT / path).read_text() for path in pages} == pages


def test_section_has_all_texts_of_a_check() -> None:
    one = check("crash.killed", needs=frozenset({Need.EVENT, Need.PROCESS}), fix="Use `a_b <c>`.")
    control = check("auth.control")
    pages = checks_page.pages(f"# Checks\n{checks_page.MARKER}", [control, one])
    assert list(map(str, pages)) == [
        "docs/checks.md",
        "docs/checks/auth.md",
        "docs/checks/crash.md",
        "skills/connect-webhook-handler/references/checks.md",
    ]
    index, auth, crash, skill = pages.values()
    assert "| [crash](checks/crash.md) | [killed](checks/crash.md#crashkilled) |\n" in index
    assert crash.endswith(
        "## crash.killed\n\n"
        "MUST. A token of garbage is refused.\n\n"
        "- **Needs:** a handler of events, a handler that the check starts (--run)\n"
        "- **Sent:** A request whose token is no JWT.\n"
        "- **Expected:** A status from 400 to 499, and no effect.\n"
        "- **Why:** Anybody who knows the URL could send it.\n"
        "- **Fix:** Use `a_b <c>`.\n"
    )
    assert "\nMUST, control. A token of garbage is refused.\n" in auth
    assert "- **crash.killed** (MUST). A token of garbage is refused: A status from 400 to" in skill


@given(st.text(st.characters(exclude_characters="`", categories=("L", "N", "P", "S", "Zs"))))
@example("- a 1. b # c = d + e ~ 2) f")
def test_text_is_shown_as_it_is(text: str) -> None:
    # Of several lines, which begin with different parts of it.
    why = f"x {text} {'y ' * 50}{text} {'y ' * 49}{text}"
    page = parse(MarkdownIt("commonmark").render(checks_page.render("auth", [check(why=why)])))
    items = ["".join(item.raw_text.split()) for item in page.all("li")]
    assert len(items) == 5 and f"Why:{''.join(why.split())}" in items


def test_other_pages_are_refused_until_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, auth, removed = (
        tmp_path / "docs" / name for name in ("checks.md", "checks/auth.md", "checks/removed.md")
    )
    index.parent.mkdir()
    index.write_text(f"# Checks\n\n{checks_page.MARKER}## Old\n")
    monkeypatch.setattr(checks_page, "ROOT", tmp_path)
    assert_refused(monkeypatch, r"docs/checks\.md, docs/checks/auth\.md, ")
    write_pages(monkeypatch)
    text = index.read_text()
    assert text.startswith("# Checks\n\n") and "## Old" not in text
    assert "## auth.get" in auth.read_text()
    removed.write_text("# removed\n")
    assert_refused(monkeypatch, r"^docs/checks/removed\.md: ")
    write_pages(monkeypatch)
    assert not removed.exists()


def assert_refused(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    monkeypatch.setattr("sys.argv", ["checks_page.py"])
    with pytest.raises(SystemExit, match=rf"{names}.*run tools/checks_page\.py --write"):
        checks_page.main()


def write_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--write"], []):
        monkeypatch.setattr("sys.argv", ["checks_page.py", *arguments])
        checks_page.main()


def test_page_without_the_marker_is_refused() -> None:
    with pytest.raises(SystemExit, match="has no line <!--"):
        checks_page.pages("# Checks\n", CHECKS)
