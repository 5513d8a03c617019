"""Blocks of documentation pages are run by a test that takes them from the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import doc_blocks

ROOT = Path(__file__).resolve().parents[3]
# By page: the test that runs its blocks, or lists a reason.
RUN_BY = {
    "docs/check-your-handler.md": "tests/e2e/test_docs_check_your_handler.py",
    "docs/ci.md": "tests/e2e/test_ci.py",
    "docs/containers.md": "tests/e2e/test_containers.py",
    "docs/faults.md": "tests/e2e/test_docs_faults.py",
    "docs/handler-from-zero.md": "tests/e2e/test_docs_handler_from_zero.py",
    "docs/install.md": "tests/packaging/test_install_page.py",
    "docs/test-with-pytest.md": "tests/plugin/docs_project.py",
    "docs/test-without-sleeping.md": "tests/e2e/test_docs_without_sleeping.py",
    "docs/troubleshooting.md": "tests/e2e/test_containers.py",
    "docs/your-product.md": "tests/queue/catalog/test_product_command.py",
    "examples/node_project/README.md": "tests/e2e/test_example_projects.py",
    "examples/pytest_project/README.md": "tests/packaging/test_example_readmes.py",
    "examples/testcontainers/README.md": "tests/e2e/test_testcontainers.py",
}
# A fence without a language shows output, unless it begins with a command.
COMMAND = re.compile(
    r"^```\n(?:\./)?(?:connect-sim|uvx?|pip|docker|curl|make|python3?|pytest)\b", re.M
)
UNNAMED = re.compile(r"^```(?:sh|yaml)$", re.MULTILINE)


@pytest.mark.parametrize("page", RUN_BY)
def test_commands_of_the_page_have_names_and_a_test(page: str) -> None:
    text = (ROOT / page).read_text()
    assert COMMAND.findall(text) == UNNAMED.findall(text) == []
    source = (ROOT / RUN_BY[page]).read_text()
    assert f'"{page}"' in source and "doc_blocks.read" in source


def test_blocks_are_read_by_language_and_name(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh one\na\n```\n\n1. Then\n\n   ```sh two\n   b\n   c\n   ```\n\n```\nd\n```\n"
    )
    assert doc_blocks.read("sh", str(page)) == {"one": "a\n", "two": "b\nc\n"}


@pytest.mark.parametrize(
    "fences", ["```sh\na\n```\n", "```sh one\na\n```\n```sh one\nb\n```\n", "a"]
)
def test_block_without_a_name_of_its_own_is_refused(tmp_path: Path, fences: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(fences)
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
