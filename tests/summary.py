"""The end of a run's output: tests that were skipped, and the seconds per folder
(`-p tests.summary`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

_seconds: Counter[str] = Counter()


def pytest_addoption(parser: Any) -> None:
    """Add `--no-skips`, which CI passes."""
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run")


def pytest_runtest_logreport(report: Any) -> None:
    """Add up the seconds of the folder's tests, of all worker processes."""
    path = report.nodeid.partition("::")[0]
    _seconds[path.rpartition("/")[0] or "."] += report.duration


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the seconds per folder and, loudly, what was not run and why."""
    if len(_seconds) > 1:
        terminalreporter.section("seconds per folder")
        for folder, seconds in _seconds.most_common():
            terminalreporter.write_line(f"{seconds:8.1f} s  {folder}")
        terminalreporter.write_line(f"{_seconds.total():8.1f} s  total of all workers")
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped})
    if reasons:
        terminalreporter.section("NOT RUN on this machine", sep="!", red=True, bold=True)
        for reason in reasons:
            terminalreporter.write_line(f"  {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: Any) -> None:
    """Fail a run with `--no-skips` that skipped something."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # Worker processes have no reporter: their skips are counted in the main process.
    if reporter is None or not session.config.getoption("--no-skips"):
        return
    if reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
