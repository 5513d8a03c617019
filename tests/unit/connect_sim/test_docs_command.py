"""`connect-sim docs`: pages, the list of them, and what a search prints."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout

import pytest

from connect_sim.cli import program
from sandbox.documentation import FOLDER, pages
from tests.program import Failed, run, run_json


def test_page_is_printed_as_it_is_into_a_pipe() -> None:
    text = (FOLDER / "checks" / "auth.md").read_text()
    assert run("docs", "checks/auth") == text
    assert run_json("docs", "checks/auth.md") == {
        "page": "checks/auth", "title": "auth", "text": text,
    }  # fmt: skip


def test_page_is_formatted_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    with redirect_stdout(Terminal()) as out:
        assert program.run(["docs", "inquiring-form"]) == 0
    assert "](" not in out.getvalue() and "# " not in out.getvalue()
    assert (FOLDER / "inquiring-form.md").read_text()[2:20] in out.getvalue()


def test_pages_are_listed() -> None:
    lines = run("docs").splitlines()
    assert [line.split("  ")[0] for line in lines] == list(pages())
    assert [row["page"] for row in run_json("docs")] == list(pages())


def test_search_prints_page_line_and_heading() -> None:
    lines = run("docs", "--search", "old value_error").splitlines()
    page, _, number = lines[0].partition("  ")[0].partition(":")
    assert page in pages() and int(number) > 0 and lines[1].startswith("  ")
    rows = run_json("docs", "--search", "old value_error")
    assert list(rows[0]) == ["page", "heading", "line", "text"]
    assert lines[0] == f"{page}:{number}  {rows[0]['heading']}"
    assert run("docs", "--search", "the").splitlines()[-1].endswith(" more: add a word.")


@pytest.mark.parametrize("heading", ["The command line", "exec", "Errors for programs"])
def test_heading_that_has_the_words_is_printed_once(heading: str) -> None:
    """Of each level."""
    lines = [*run("docs", "--search", heading).splitlines(), ""]
    [place] = [n for n, line in enumerate(lines) if re.fullmatch(rf"cli:\d+  {heading}", line)]
    assert not lines[place + 1].startswith(" ")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["docs", "robust-handler"], 2, "Did you mean robust-handlers?"),
        (["docs", "../README"], 2, "There is no page"),
        (["docs", "cli", "--search", "x"], 2, "exclude each other"),
        (["docs", "--search", "zzzzzz"], 1, "No section"),
        (["docs", "--search", ""], 1, "No section"),
    ],
)
def test_what_is_not_there_is_one_line(arguments: list[str], code: int, text: str) -> None:
    with pytest.raises(Failed) as failed:
        run(*arguments, "--json")
    assert failed.value.code == code and text in json.loads(str(failed.value))["message"]
