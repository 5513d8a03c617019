"""`make unit` runs without Django, a test that imports it would fail there only; and it runs in
forked processes (`tests/forked.py`), all of whose results count."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import CAN_FORK
from tests.processes import ROOT

forked = pytest.mark.skipif(not CAN_FORK, reason="tests are forked on Linux only")


def test_unit_tests_are_collected_without_django() -> None:
    done = _pytest("-c", "tests/unit/pytest.ini", "--collect-only", "-q", "tests/unit")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@forked
def test_results_of_all_processes_are_reported(tmp_path: Path) -> None:
    _write_tests(tmp_path, "print('output'); assert not tmp_path.is_dir()")
    done = _pytest_forked(tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "2 failed, 2 passed" in done.stdout
    assert done.stdout.count("\noutput\n") == 2
    assert "test_one.py::test_meet" in done.stdout and "test_other.py::test_meet" in done.stdout


@forked
def test_lost_process_fails_the_run(tmp_path: Path) -> None:
    _write_tests(tmp_path, "here or os._exit(3)")
    done = _pytest_forked(tmp_path)
    assert done.returncode == pytest.ExitCode.INTERNAL_ERROR, done.stdout
    assert "exit 3" in done.stdout


@forked
def test_import_of_django_by_any_process_fails_the_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/unit/conftest.py", tmp_path)
    _write_tests(tmp_path, "here or __import__('django')")
    done = _pytest_forked(tmp_path)
    assert done.returncode == pytest.ExitCode.INTERNAL_ERROR, done.stdout
    assert "must not import Django" in done.stderr


def _write_tests(folder: Path, line: str) -> None:
    """Write two modules, which run in different processes, and a line that follows in each."""
    os.mkfifo(folder / "meet")
    for name in ("one", "other"):
        (folder / f"test_{name}.py").write_text(
            "import os\n"
            "main = os.getpid()\n"
            "def test_meet(tmp_path):\n"
            "    here = os.getpid() == main\n"
            # Each end of the pipe waits for the other one, which one process would do forever.
            f"    open({str(folder / 'meet')!r}, 'rb' if here else 'wb').close()\n"
            f"    {line}\n"
            "def test_pass(): pass\n"
        )


def _pytest_forked(folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    return _pytest(
        "-c", str(folder / "pytest.ini"), "-p", "tests.forked", "--processes=2", "--capture=sys",
        "--disable-plugin-autoload", str(folder),
    )  # fmt: skip


def _pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
