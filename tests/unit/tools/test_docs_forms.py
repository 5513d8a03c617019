"""The check that pages say how to get Connect Sim as docs/_install.toml has it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools import docs_forms

ROOT = Path(__file__).resolve().parents[3]
CONTENT: dict[str, Any] = {
    "published": False,
    "names": {"image": "", "action": ""},
    "pages": {"files": ["*.md"], "only_today": [r"\.whl"]},
    "form": [
        {"today": "uvx --from sim-{version}.whl sim", "published": "uvx sim=={version}"},
        {"today": "build it\nsim-{version}.whl", "published": "docker run {image}:{version}"},
        {"today": "It is not on an index.\n\n", "published": "See {action}. "},
    ],
}
TODAY = "Run `uvx --from sim-1.2.whl sim`.\n\nIt is not on an index.\n\nbuild it\nsim-1.2.whl\n"
PUBLISHED = "Run `uvx sim==1.2`.\n\nSee me/sim. docker run ghcr.io/me/sim:1.2\n"
NAMES = {"image": "ghcr.io/me/sim", "action": "me/sim"}


def test_switch_replaces_all_forms_and_is_reversible() -> None:
    content = {**CONTENT, "published": True, "names": NAMES}
    assert docs_forms.load(content, "1.2").render(TODAY) == PUBLISHED
    assert docs_forms.load(content, "1.2", published=False).render(PUBLISHED) == TODAY


def test_older_version_in_a_page_is_replaced() -> None:
    old = TODAY.replace("1.2", "1.1.0rc1")
    assert docs_forms.load(CONTENT, "1.2").render(old) == TODAY


def test_check_names_pages_with_other_forms_and_forms_that_no_page_has(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(TODAY.replace("1.2", "1.1", 1))
    (tmp_path / "other.txt").write_text(PUBLISHED)
    [message] = docs_forms.check(tmp_path, CONTENT, "1.2")
    assert message.startswith("page.md: has another form")
    docs_forms.write(tmp_path, CONTENT, "1.2")
    assert (tmp_path / "page.md").read_text() == TODAY
    assert docs_forms.check(tmp_path, CONTENT, "1.2") == []
    (tmp_path / "page.md").write_text(TODAY.replace("It is not on an index.\n\n", ""))
    [message] = docs_forms.check(tmp_path, CONTENT, "1.2")
    assert "no page has the form 'It is not on an index." in message


@pytest.mark.parametrize("published", [False, True])
def test_command_outside_of_the_forms_is_refused(tmp_path: Path, published: bool) -> None:
    content = {**CONTENT, "published": published, "names": NAMES}
    (tmp_path / "page.md").write_text(f"{TODAY}\nOr: pip install sim-1.2.whl\n")
    docs_forms.write(tmp_path, content, "1.2")
    line = (tmp_path / "page.md").read_text().count("\n")
    assert docs_forms.check(tmp_path, content, "1.2") == [
        f"page.md:{line}: '.whl' is in no form of docs/_install.toml"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"published": True}, "names"),
        ({"form": [*CONTENT["form"], {"today": "x", "published": "x"}]}, "the same: 'x'"),
    ],
    ids=["published without names", "equal forms"],
)
def test_invalid_forms_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(docs_forms.Invalid, match=message):
        docs_forms.load({**CONTENT, **content}, "1.2")


def test_switch_of_this_project_is_reversible_on_its_pages() -> None:
    content = tomllib.loads((ROOT / docs_forms.FILE).read_text())
    version = docs_forms.version_of(ROOT)
    today = docs_forms.load(content, version, published=False)
    published = docs_forms.load(content, version, published=True)
    pages = docs_forms.pages(ROOT, content)
    assert pages
    for page in pages:
        text = today.render(page.read_text())
        switched = published.render(text)
        assert today.render(switched) == text, page
        assert not list(published.unlisted(switched)), page


def test_pages_of_this_project_have_the_forms_of_its_switch() -> None:
    content = tomllib.loads((ROOT / docs_forms.FILE).read_text())
    assert docs_forms.check(ROOT, content, docs_forms.version_of(ROOT)) == []
