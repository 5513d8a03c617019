"""Code blocks of documentation pages, which tests run as they stand.

A block's name follows its language: ```` ```sh build ````. A test runs each block by its name, or
lists it with the reason why it is left out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^( *)```([a-z]*)(?: ([\w.-]+))?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def read(language: str, *pages: str) -> dict[str, str]:
    """Return the blocks of a language, by name; fail if one has no name, or that of another.

    A page is a path such as `docs/ci.md`. A block without a language is for no test: it shows
    output.
    """
    found: dict[str, str] = {}
    for page in pages:
        for name, text in _named(page, language):
            assert name not in found, f"{page}: two blocks are called {name}"
            found[name] = text
    assert found, f"{pages} have no block of {language}"
    return found


def read_all(page: str) -> dict[str, str]:
    """Return the blocks of all languages, by language and name: `sh build`; each must have both."""
    languages = {match[2] for match in _BLOCK.finditer((ROOT / page).read_text())}
    blocks = {(each, name): text for each in languages for name, text in read(each, page).items()}
    return {f"{language} {name}": text for (language, name), text in blocks.items()}


def _named(page: str, language: str) -> Iterator[tuple[str, str]]:
    for indent, written, name, text in _BLOCK.findall((ROOT / page).read_text()):
        if written != language:
            continue
        # A block without a name would be neither run nor listed.
        assert name, f"{page}: a block has no name:\n{text}"
        yield name, textwrap.dedent(text) if indent else text


def check_all_run(
    blocks: Collection[str], run: Collection[str], left_out: Mapping[str, str]
) -> None:
    """Check that each block is run or left out for a reason; print the reasons."""
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    assert not {*run} & {*left_out}
    assert {*blocks} == {*run} | {*left_out}
