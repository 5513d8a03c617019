"""The summary of a GitHub Actions job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from checks.model import Exhibit, Verdict
from checks.outputs import github
from checks.outputs.texts import one_line
from tests.html import Element, parse
from tests.unit.checks.reports import FAIL, PASS, caused, check, mixed, report, result, with_text


def shown(text: str) -> Element:
    """Return the page that GitHub's dialect makes of a summary."""
    dialect = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return parse(dialect.render(text))


def test_summary_has_verdict_counts_and_a_table_of_failures() -> None:
    page = shown(github.render(mixed(notes=("A note.",))))
    assert page.one("h2").text == "❌ connect-sim check: Fail"
    paragraph = page.all("p")[0].text
    assert "Handler: http://127.0.0.1:9000/" in paragraph
    assert "Verdict: 1 of 8 checks failed." in paragraph
    assert "2 passed, 1 failed, 1 warning" in paragraph
    assert page.one("li").text == "Note: A note."
    assert page.rows() == [
        ["auth.garbage", "MUST", "The handler returned 200."],
        ["auth.authorization_only", "SHOULD", "The handler returned 200."],
    ]
    first = page.all("details")[0]
    assert first.one("summary").text == "auth.garbage: A token of garbage is refused"
    assert "Response:\n  HTTP/1.1 200\n  ok\nSent: " in first.one("pre").raw_text


def test_summary_of_a_pass_has_no_table() -> None:
    page = shown(github.render(report(result(PASS))))
    assert page.one("h2").text == "✅ connect-sim check: Pass"
    assert page.all("table") == page.all("details") == []


def test_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("Before.\n\n", encoding="utf-8")
    github.append(github.render(mixed()), path)
    github.append(github.render(report(result(PASS))), path)
    page = shown(path.read_text(encoding="utf-8"))
    assert len(page.all("h2")) == 2 and page.all("p")[0].text == "Before."


def test_details_are_left_out_where_there_is_no_room() -> None:
    evidence = tuple(Exhibit(f"{i}", ("x" * 200,) * 20) for i in range(30))
    failed = (
        replace(result(FAIL, check(f"auth.x{i}")), verdict=Verdict(FAIL, "No.", evidence))
        for i in range(10)
    )
    text = github.render(report(*failed))
    page = shown(text)
    assert len(page.rows()) == 10 and len(text) < github.LONGEST + 10_000
    left_out = 10 - len(page.all("details"))
    assert (
        left_out and page.all("p")[-1].text == f"Details of {left_out} more failures are left out."
    )


@given(st.text(st.characters(codec=None)))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    rendered = github.render(with_text(text))
    rendered.encode()
    page = shown(rendered)
    words = one_line(text).split()
    cells = [cell.raw_text.split() for cell in page.all("tbody td")]
    assert cells == [["auth.garbage"], ["MUST"], words, ["auth.y"], ["SHOULD"], words]
    assert page.one("li").raw_text.split() == ["Note:", *words]
    assert len(page.all("h2")) == 1 and len(page.all("details")) == 2


def test_failures_with_one_cause_are_one_row() -> None:
    text = github.render(report(*caused("auth.a", "auth.b")))
    assert text.count("| MUST |") == 1 and text.count("<details>") == 1
    assert "| auth.a, auth.b | MUST | Verifies no token. |" in text
