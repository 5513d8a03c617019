"""The environment of all tests, loaded before Django's settings are (`-p tests.environment`),
and the loud lines for what was not run."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pytest

# Before Django's settings are read: no test touches the data of a real sandbox.
os.environ["SIM_DATA_DIR"] = tempfile.mkdtemp(prefix="connect-sim-tests-")
for _name in list(os.environ):
    if _name.startswith("SIM_") and not _name.startswith(("SIM_DATA_DIR", "SIM_TEST_")):
        del os.environ[_name]
os.environ["SIM_ENV_FILE"] = os.devnull
# A test's own transaction is idle while the test does other things.
os.environ["SIM_IDLE_IN_TRANSACTION_TIMEOUT"] = "600"
for _name in ("DATABASE_URL", "CELERY_BROKER_URL"):
    os.environ.pop(_name, None)
if "SIM_TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["SIM_TEST_DATABASE_URL"]


def pytest_addoption(parser: Any) -> None:
    """Add `--no-skips`, with which CI fails on a skipped test, and `--nightly`."""
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run")
    parser.addoption("--nightly", action="store_true", help="run only the tests marked nightly")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Select the nightly tests or the others, and start with the longest module."""
    nightly = config.getoption("--nightly")
    other = [item for item in items if ("nightly" in item.keywords) != nightly]
    if other:
        config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if ("nightly" in item.keywords) == nightly]
    # On several cores the run would otherwise end with one core waiting for this module.
    items.sort(key=lambda item: "test_on_postgres" not in item.nodeid)


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Say loudly what was not run, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped})
    if reasons:
        terminalreporter.section("NOT RUN on this machine", sep="!", red=True, bold=True)
        for reason in reasons:
            terminalreporter.write_line(f"  {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: Any, exitstatus: int) -> None:
    """Fail a run that skipped something where nothing may."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A worker of a run on several cores has none: the run counts for all of them.
    if reporter is None or not session.config.getoption("--no-skips"):
        return
    if reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
