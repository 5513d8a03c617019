"""`make lint` refuses tests that are drawn, and marks without a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import nightly_tests

DRAWN = """
import random, subprocess
import pytest
def commit():
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True).stdout
def chosen():
    return [commit()]
{}
"""


@pytest.mark.parametrize(
    "line",
    [
        "VALUES = random.sample(range(9), 3)",
        "@pytest.mark.parametrize('a', chosen())\ndef test_a(a): pass",
        "def pytest_collection_modifyitems(items): items[:] = chosen()",
        "pytestmark = pytest.mark.nightly",
        "@pytest.mark.nightly()\nclass TestA: pass",
    ],
)
def test_draw_or_missing_reason_is_found(tmp_path: Path, line: str) -> None:
    assert problems(tmp_path, line)


@pytest.mark.parametrize(
    "line",
    [
        "def test_a(): assert chosen() != random.Random(1).choice([1])",
        "@pytest.mark.nightly(reason='minutes')\ndef test_a(): pass",
        "NAMES = ['a', 'b']",
    ],
)
def test_fixed_choice_is_accepted(tmp_path: Path, line: str) -> None:
    assert problems(tmp_path, line) == []


def problems(folder: Path, line: str) -> list[str]:
    path = folder / "test_drawn.py"
    path.write_text(DRAWN.format(line))
    return nightly_tests.problems(path)
