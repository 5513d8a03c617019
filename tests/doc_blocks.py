"""Code blocks of documentation pages, which tests run as they stand.

A block has a language, and may have a name after it: ```` ```sh build ````. A test runs each block
by its name, or lists it with the reason why it is left out; `tests/e2e/test_docs_blocks.py` runs
the commands of whole pages.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The languages of what a user types; the text behind each `$` of a console.
SHELL = ("sh", "console")
_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)\n(?P<text>(?:.*\n)*?)"
    r"(?P=indent)(?P=fence)$",
    re.MULTILINE,
)
_INDENTED = re.compile(r"(?<=\n\n) {4}.*")

# By page: the test that runs its blocks, or lists a reason. It leaves the commands of some pages to
# tests/e2e/test_docs_blocks.py.
RUN_BY = {
    "docs/add-a-queue.md": "tests/e2e/test_add_a_queue.py",
    "docs/check-your-handler.md": "tests/e2e/test_docs_check_your_handler.py",
    "docs/ci.md": "tests/e2e/test_ci.py",
    "docs/clients/javascript-sdk.md": "tests/e2e/test_javascript_sdk.py",
    "docs/clients/openapi-client.md": "tests/e2e/test_clients.py",
    "docs/containers.md": "tests/e2e/test_containers.py",
    "docs/handler-from-zero.md": "tests/e2e/test_docs_handler_from_zero.py",
    "docs/install.md": "tests/packaging/test_install_page.py",
    "docs/test-with-pytest.md": "tests/plugin/docs_project.py",
    "docs/test-without-sleeping.md": "tests/e2e/test_docs_without_sleeping.py",
    "docs/troubleshooting.md": "tests/e2e/test_containers.py",
    "docs/your-product.md": "tests/queue/catalog/test_product_command.py",
    "examples/node_project/README.md": "tests/e2e/test_example_projects.py",
    "examples/pytest_project/README.md": "tests/packaging/test_example_readmes.py",
    "examples/testcontainers/README.md": "tests/e2e/test_testcontainers.py",
    "portal/static/portal/handlers/node/README.md": "tests/e2e/test_init.py",
    "portal/static/portal/handlers/php/README.md": "tests/e2e/test_init.py",
    "portal/static/portal/handlers/python/README.md": "tests/e2e/test_init.py",
}


@dataclass(frozen=True)
class Block:
    """A code block of a page; `name` is empty without one."""

    page: str
    language: str
    name: str
    text: str

    def begins(self, key: str) -> bool:
        """Return whether a text is the block's name, or its beginning."""
        return self.name == key or self.text.startswith(key)


def pages() -> list[str]:
    """Return the pages of the documentation, as paths such as `docs/ci.md`."""
    return ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in their order; fail if one has no fence or no language."""
    content = (ROOT / page).read_text()
    found = []
    for match in _BLOCK.finditer(content):
        language, _, name = match["info"].partition(" ")
        assert language, f"{page}: a block has no language:\n{match['text']}"
        found.append(Block(page, language, name, textwrap.dedent(match["text"])))
    indented = _INDENTED.findall(_BLOCK.sub("", content))
    assert not indented, f"{page}: put this between fences:\n{indented[0]}"
    return found


def read(language: str, *pages: str) -> dict[str, str]:
    """Return the blocks of a language, by name; fail if one has no name, or that of another."""
    found: dict[str, str] = {}
    for block in (each for page in pages for each in blocks(page) if each.language == language):
        # A block without a name would be neither run nor listed.
        assert block.name, f"{block.page}: a block has no name:\n{block.text}"
        assert block.name not in found, f"{block.page}: two blocks are called {block.name}"
        found[block.name] = block.text
    assert found, f"{pages} have no block of {language}"
    return found


def read_all(page: str) -> dict[str, str]:
    """Return the blocks of all languages, by language and name: `sh build`; each must have both."""
    languages = {block.language for block in blocks(page)}
    named = {(each, name): text for each in languages for name, text in read(each, page).items()}
    return {f"{language} {name}": text for (language, name), text in named.items()}


def check_all_run(
    blocks: Collection[str], run: Collection[str], left_out: Mapping[str, str]
) -> None:
    """Check that each block is run or left out for a reason; print the reasons."""
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    assert not {*run} & {*left_out}
    assert {*blocks} == {*run} | {*left_out}
