"""`make lint` refuses tests that are drawn, and marks without a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import nightly_tests

DRAWN = """
import os, random, random as r, subprocess
from os import urandom as noise
from random import sample
import pytest
def commit():
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True).stdout
def chosen():
    return [commit()]
{}
"""


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        ("VALUES = random.sample(range(9), 3)", True),
        ("VALUES = r.sample(range(9), 3)", True),
        ("VALUES = sample(range(9), 3)", True),
        ("VALUES = os.urandom(1)", True),
        ("VALUES = noise(1)", True),
        ("VALUES = random.Random(__name__)", True),
        ("@pytest.mark.parametrize('a', chosen())\ndef test_a(a): pass", True),
        ("def pytest_collection_modifyitems(items): items[:] = chosen()", True),
        ("pytestmark = pytest.mark.nightly", True),
        ("@pytest.mark.nightly()\nclass TestA: pass", True),
        ("def test_a(): assert chosen() != random.Random(1).choice([1])", False),
        ("@pytest.mark.nightly(reason='minutes')\ndef test_a(): pass", False),
        ("NAMES = ['a', 'b', os.name]", False),
        ("if __name__ == '__main__': print(commit())", False),
    ],
)
def test_draw_or_missing_reason_is_found(tmp_path: Path, line: str, is_refused: bool) -> None:
    assert bool(problems(tmp_path, line)) is is_refused


def problems(folder: Path, line: str) -> list[str]:
    path = folder / "test_drawn.py"
    path.write_text(DRAWN.format(line))
    return nightly_tests.problems(path)


def test_plugins_and_helpers_are_searched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems(tmp_path, "")
    hook = "def pytest_collection_modifyitems(items): items[:] = chosen()"
    (tmp_path / "lanes.py").write_text(DRAWN.format(hook))
    monkeypatch.setattr(nightly_tests, "TESTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["nightly_tests.py", "--check"])
    assert nightly_tests.main() == 1
    assert "lanes.py:7: git must not decide" in capsys.readouterr().out
