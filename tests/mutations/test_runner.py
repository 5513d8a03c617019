"""Every mutation applies to this tree, and the runner tells a caught one from the others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.mutations import runner
from tests.mutations.runner import FOLDER, ROOT

PATCHES = sorted(FOLDER.glob("*.patch"))
PRODUCT = ("connect_sim/", "sandbox/", "checks/", "portal/", "webhooks/", "requests_queue/",
           "pytest-connect-sim/src/")  # fmt: skip
CODE = "def double(n):\n    return 2 * n\n"


def test_there_are_thirty() -> None:
    assert len(PATCHES) >= 30


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.stem)
def test_mutation_applies_to_the_product_and_names_its_tests(patch: Path) -> None:
    mutation = runner.read(patch)
    assert runner.apply(mutation, ROOT, "--check")
    assert mutation.sentence.endswith(".")
    assert 1 <= len(mutation.tests) <= 3
    assert all((ROOT / file).is_file() for file in mutation.tests)
    changed = [line[6:] for line in patch.read_text().splitlines() if line.startswith("+++ b/")]
    assert changed and all(path.startswith(PRODUCT) for path in changed)


@pytest.mark.parametrize(
    ("changed_to", "test", "how"),
    [
        ("    return 3 * n\n", "assert double(2) == 4", "caught"),
        ("    return 3 * n\n", "assert double(0) == 0", "ESCAPED"),
        ("    return 3 *\n", "assert double(2) == 4", "TESTS DO NOT RUN: test_code.py"),
        (None, "assert double(2) == 4", "DOES NOT APPLY"),
    ],
)
def test_only_a_failed_test_catches(
    changed_to: str | None, test: str, how: str, tmp_path: Path
) -> None:
    tree, patch = tmp_path / "tree", tmp_path / "triples.patch"
    tree.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    (tree / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")
    (tree / "code_under_test.py").write_text(CODE)
    (tree / "test_code.py").write_text(
        f"from code_under_test import double\n\ndef test_double():\n    {test}\n"
    )
    removed = "    return 2 * n\n" if changed_to else "    return None\n"
    patch.write_text(
        "A number is tripled.\ntest_code.py\n\n"
        "--- a/code_under_test.py\n+++ b/code_under_test.py\n@@ -1,2 +1,2 @@\n"
        f" def double(n):\n-{removed}+{changed_to or removed}"
    )
    assert runner.judge(runner.read(patch), tree).partition("\n")[0] == how
