"""`make unit` runs without Django; a test that imports it would fail there only."""

from __future__ import annotations

import subprocess
import sys

from tests.processes import ROOT


def test_unit_tests_are_collected_without_django() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "tests/unit/pytest.ini", "--collect-only", "-q",
         "tests/unit"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
