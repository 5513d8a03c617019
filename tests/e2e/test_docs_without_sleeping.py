"""The test in four languages of docs/test-without-sleeping.md, run as it stands there.

`test_docs_blocks.py` runs the one for a shell with a handler that approves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import doc_blocks
from tests.processes import Sandbox, free_port, listening

PAGE = "docs/test-without-sleeping.md"
# By language of the block: the file it is stored in, and the command that runs it.
LANGUAGES = {
    "sh": ("test.sh", ["sh"]),
    "python": ("test.py", ["python3"]),
    "js": ("test.mjs", ["node", "--test"]),
    "php": ("test.php", ["php"]),
}


@pytest.fixture(scope="module")
def handler(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a handler that approves pending orders."""
    with listening(running, tmp_path_factory.mktemp("handler"), "--approve") as (_, url):
        yield url


def run(language: str, running: Sandbox, handler: str, folder: Path) -> tuple[int, str]:
    """Run the block of a language; return its exit code and what it printed."""
    name, command = LANGUAGES[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: its example in the docs was not run")
    (folder / name).write_text(doc_blocks.read(language, PAGE)["test"])
    ended = subprocess.run(
        [*command, name],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "SANDBOX_URL": running.url,
            "VENDOR_KEY": running.vendor_key,
            "DISTRIBUTOR_KEY": running.provider_key,
            "HANDLER_URL": handler,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("language", ["python", "js", "php"])
def test_example_passes_with_a_handler_that_approves(
    running: Sandbox, handler: str, tmp_path: Path, language: str
) -> None:
    code, printed = run(language, running, handler, tmp_path)
    assert code == 0, printed


@pytest.mark.parametrize("language", LANGUAGES)
def test_example_fails_with_the_nearest_attempt_without_a_handler(
    running: Sandbox, tmp_path: Path, language: str
) -> None:
    code, printed = run(language, running, f"http://127.0.0.1:{free_port()}/", tmp_path)
    assert code != 0
    assert "refused the connection" in printed
    assert "near_misses" in printed
