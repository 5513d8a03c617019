"""`make unit` runs without Django: a test that imports it would fail there only."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, environment, output, run


def test_unit_tests_are_collected_without_django(tmp_path: Path) -> None:
    output([*_UNIT, "--collect-only", "-q"], environment(tmp_path), timeout=120)


def test_import_of_django_fails_the_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/unit/conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text("def test_import(): import django")
    done = run([*_UNIT, "--confcutdir", str(tmp_path), str(tmp_path)], environment(tmp_path))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert "must not import Django" in done.stderr


_UNIT = [sys.executable, "-m", "pytest", "-c", "tests/unit/pytest.ini", "--rootdir=."]
