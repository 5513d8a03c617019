"""Blocks of documentation pages have a language and are valid; a test runs them from the page."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import doc_blocks
from tests.doc_blocks import RUN_BY, Block

ROOT = Path(__file__).resolve().parents[3]
UNNAMED = re.compile(r"^```(?:sh|yaml)$", re.MULTILINE)
# Commands are not to be taken for output.
COMMAND = re.compile(
    r"\$ |(?:\./)?(?:connect-sim|ccli|cd|curl|docker|eval|make|npm|pipx?|pytest|python3?|uvx?)\b"
)
CALL = re.compile(r"(?:GET|POST|PUT|DELETE) +/\S+(?: +(?P<bodies>[^#]+))?(?:#.*)?")


def parse_shell(text: str) -> None:
    subprocess.run(["bash", "-n"], input=text, text=True, check=True, capture_output=True)


def parse_console(text: str) -> None:
    assert text.startswith("$ ")
    for line in re.findall(r"^\$ (.*)", text, re.MULTILINE):
        parse_shell(line)


def parse_calls(text: str) -> None:
    """Calls of the API, a line each, with a body or several to choose from."""
    for line in text.splitlines():
        call = CALL.fullmatch(line)
        assert call, line
        for body in filter(None, re.split(r" +or +", (call["bodies"] or "").strip())):
            json.loads(body)


def parse_output(text: str) -> None:
    assert not COMMAND.match(text)


def leave(text: str) -> None:
    """A language without a parser among the tests' packages."""


# By language. Those of `leave` are configuration files, and programs that RUN_BY has.
PARSERS: dict[str, Callable[[str], Any]] = {
    "console": parse_console,
    "http": parse_calls,
    "ini": leave,
    "js": leave,
    "json": json.loads,
    "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
    "nginx": leave,
    "php": leave,
    "python": lambda text: compile(text, "a block", "exec"),
    "sh": parse_shell,
    "sql": leave,
    "text": parse_output,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
BLOCKS = [block for page in doc_blocks.pages() for block in doc_blocks.blocks(page)]


@pytest.mark.parametrize("language", PARSERS)
def test_blocks_of_a_language_are_valid(language: str) -> None:
    blocks = [block for block in BLOCKS if block.language == language]
    assert blocks
    for block in blocks:
        try:
            PARSERS[language](block.text)
        except Exception as error:
            raise AssertionError(f"{block.page}: {error!r}\n{block.text}") from error


def test_languages_are_known_and_programs_without_a_parser_are_run() -> None:
    unknown = [(block.page, block.language) for block in BLOCKS if block.language not in PARSERS]
    assert unknown == []
    programs = {block.page for block in BLOCKS if block.language in ("js", "php")}
    assert programs and programs <= RUN_BY.keys()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "if true\n"),
        ("console", "make run\n"),
        ("console", "$ echo 'a\nb\n"),
        ("http", "POST sandbox/reset\n"),
        ("http", 'POST /sandbox/reset {"patience"}\n'),
        ("json", "{}, {}\n"),
        ("python", "def f():\n"),
        ("text", "$ make run\n"),
        ("text", "./connect-sim reset\n"),
    ],
)
def test_invalid_block_is_found(language: str, text: str) -> None:
    with pytest.raises((AssertionError, ValueError, SyntaxError, subprocess.CalledProcessError)):
        PARSERS[language](text)


@pytest.mark.parametrize("page", RUN_BY)
def test_blocks_of_the_page_have_a_test(page: str) -> None:
    assert UNNAMED.findall((ROOT / page).read_text()) == []
    source = (ROOT / RUN_BY[page]).read_text()
    assert f'"{page}"' in source and "doc_blocks." in source


def test_blocks_are_read_by_language_and_name(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh one\na\n```\n\n1. Then\n\n   ```sh two\n   b\n   c\n   ```\n\n"
        "~~~~text\n```\nd\n```\n~~~~\n"
    )
    assert doc_blocks.read("sh", str(page)) == {"one": "a\n", "two": "b\nc\n"}
    output = Block(str(page), "text", "", "```\nd\n```\n")
    assert doc_blocks.blocks(str(page))[2:] == [output]
    assert output.begins("```\nd") and not output.begins("d")
    assert Block("", "sh", "one", "a\n").begins("one")


@pytest.mark.parametrize(
    "text",
    [
        "```sh\na\n```\n",
        "```sh one\na\n```\n```sh one\nb\n```\n",
        "a",
        "```sh one\na\n```\n```\nb\n```\n",
        "```sh one\na\n```\n\n    make\n",
    ],
)
def test_block_without_a_name_or_a_language_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError):
        doc_blocks.read("sh", str(page))


def test_each_block_is_run_or_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    doc_blocks.check_all_run({"one", "two"}, {"one"}, {"two": "needs Docker"})
    assert "left out: two: needs Docker" in capsys.readouterr().out
    for run, left_out in (
        ({"one"}, {}),
        ({"one", "two"}, {"two": "why"}),
        ({"one"}, {"three": ""}),
    ):
        with pytest.raises(AssertionError):
            doc_blocks.check_all_run({"one", "two"}, run, left_out)
