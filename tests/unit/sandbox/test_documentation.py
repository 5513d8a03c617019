"""The users' pages: which they are, their links, what a search finds, and llms.txt."""

from __future__ import annotations

import posixpath
import re

import pytest

from sandbox import documentation
from sandbox.documentation import FOLDER, ROOT, UnknownPage, find, pages, search

CONTRIBUTORS = {"add-a-queue", "architecture", "benchmarks", "glossary", "testing"}
_LINK = re.compile(r"\]\((?!https?:)([\w./-]+\.md)(?:#[\w-]+)?\)")


def test_pages_are_those_of_users() -> None:
    everything = {
        path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md")
    }
    assert set(pages()) == everything - CONTRIBUTORS - {"README"}
    assert {"cli", "checks/auth", "clients/connect-cli"} < set(pages())


def test_links_between_pages_lead_to_pages() -> None:
    known = {f"{name}.md" for name in {*pages(), *CONTRIBUTORS}} | {"README.md"}
    for page in pages().values():
        for link in _LINK.findall(page.text):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page.name), link))
            if not target.startswith("../"):
                assert target in known, f"{page.name}: {link}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[a](../cli.md#exec), [b](#c), [d](https://e), `f[g]("h")`, [i](/j)', None),
        ("[a](../cli.md), [b](auth.md)", None),
        ("[two\nlines](../../examples/a.py#b).", "two\nlines (`examples/a.py`)."),
        ("[a](../benchmarks.md)", "a (`docs/benchmarks.md`)"),
        ("[`examples`](../../examples/README.md)", "`examples/README.md`"),
        ("![A picture](../screenshots/a.png)", "A picture (`docs/screenshots/a.png`)"),
    ],
)
def test_file_that_is_no_page_is_named_without_a_link(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str | None
) -> None:
    monkeypatch.setattr(documentation.Page, "text", property(lambda page: text))
    assert find("checks/auth").linked_text == (expected or text)


@pytest.mark.parametrize("name", ["cli", "cli.md", "docs/cli.md"])
def test_page_is_found_by_its_name(name: str) -> None:
    assert find(name).text == (FOLDER / "cli.md").read_text()
    assert find(name).title == "The command line"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../README", "../docs/cli", "/etc/passwd", "README", "architecture",
     "cli.md.md", "checks/../cli", "_install.toml", "reliability.json", "Cli", "cli\0"],
)  # fmt: skip
def test_other_files_are_not_served(name: str) -> None:
    with pytest.raises(UnknownPage):
        find(name)


def test_unknown_page_names_the_nearest_one() -> None:
    with pytest.raises(UnknownPage, match=r"'robust-handler'\. Did you mean robust-handlers\?$"):
        find("robust-handler")


def test_search_finds_all_words_whatever_their_case() -> None:
    found = search("OLD error")
    assert found[0].page and {"robust-handlers", "checks/effects"} <= {each.page for each in found}
    for match in found:
        line = find(match.page).text.splitlines()[match.line - 1]
        assert match.text == line.strip()
    assert search("nonsense-that-no-page-has") == search(" ") == []


def test_search_prefers_headings_and_then_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "spread": "# Spread\n\nabout a lease\n\nof a clock",
        "line": "# Line\n\nthe lease of the Clock",
        "code": "# Code\n\n```sh\n# no heading: clock\n```\nlease",
        "heading": "# Heading\n\ntext\n\n## The clock's lease\n\nmore",
    }
    monkeypatch.setattr(
        documentation, "pages", lambda: {n: documentation.Page(n, "", "") for n in texts}
    )
    monkeypatch.setattr(documentation.Page, "text", property(lambda page: texts[page.name]))
    assert [(each.page, each.heading, each.line) for each in search("clock lease")] == [
        ("heading", "The clock's lease", 5),
        ("line", "Line", 3),
        ("spread", "Spread", 3),
        ("code", "Code", 4),
    ]


def test_list_for_agents_has_the_form_of_llmstxt() -> None:
    """On a failure: tools/llms.py --write."""
    text = (ROOT / "llms.txt").read_text()
    assert text == documentation.llms_text("docs/")
    title, _, summary, _, _, *rest = text.splitlines()
    assert title == "# Connect Sim" and summary.startswith("> ")
    links = [line for line in rest if line.startswith("- ")]
    chapters = [line for line in rest if line.startswith("## ")]
    assert len(links) + 2 * len(chapters) + len(chapters) == len(rest)
    for line in links:
        found = re.fullmatch(r"- \[([^]]+)\]\((docs/[\w-]+\.md)\): [^\n]+\.", line)
        assert found and (ROOT / found[2]).read_text().startswith(f"# {found[1]}\n"), line
    listed = {page.name for page in pages().values() if "/" not in page.name}
    assert {line.partition("](docs/")[2].partition(".md)")[0] for line in links} == listed
