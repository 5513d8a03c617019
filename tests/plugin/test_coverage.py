"""Stubs of missing cases, as they are printed, make their cases happen, in each language."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from portal import starters
from sandbox.coverage import report, stubs, summary
from tests import examples, program, workflows
from tests.plugin.test_with_sandbox import OLDEST, run
from tests.processes import ROOT
from tests.sandbox.coverage.all_cases import every

# They have most steps of recipes.
SAMPLE = (
    "fulfillment_request.purchase.inquiring.pending",
    "deliveries.recovered",
    "api_error.REQ_003",
    "validator.validator.failed",
)
CONNECT_SIM = f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""
# The starter's handler, for any product, and what has happened at the end.
SCRIPT = """\
env -u PRODUCT_ID node handler.mjs >handler.log & handler=$!
trap 'kill $handler' EXIT
until grep -q Listening handler.log; do sleep 0.1; done
{command} >&2
connect-sim coverage --json
"""
COMMANDS = {"node": "node --test missing.test.mjs", "shell": "sh missing.sh"}
CONFTEST = "from starter import handler_url  # noqa: F401"


def print_tests(language: str, folder: Path, ids: Sequence[str]) -> str:
    """Return what `connect-sim coverage --stubs` prints of cases that are missing."""
    rows = [report.row(case, 0, "pytest") for case in every() if case.id in ids]
    assert len(rows) == len(ids)
    (folder / "missing.json").write_text(json.dumps(summary.report([], rows)))
    merge = str(folder / "missing.json")
    return program.run("coverage", "--merge", merge, "--stubs", language)


def seen(report: str) -> set[str]:
    return {row["id"] for row in json.loads(report)["cases"] if row["seen"]}


def all_ids() -> list[str]:
    return [case.id for case in every() if stubs.write(case, "pytest")]


def run_by_exec(language: str, folder: Path, ids: Sequence[str]) -> None:
    """Run the tests by `connect-sim exec`; each makes its case happen."""
    examples.require("node")
    shutil.copy(starters.FOLDER / "node" / "handler.mjs", folder)
    name = COMMANDS[language].rpartition(" ")[2]
    (folder / name).write_text(print_tests(language, folder, ids))
    (folder / "run.sh").write_text(SCRIPT.format(command=COMMANDS[language]))
    programs = workflows.write_programs(folder / "programs", {"connect-sim": CONNECT_SIM})
    ended = subprocess.run(
        ["connect-sim", "exec", "--", "sh", "-e", "run.sh"],
        cwd=folder,
        env=workflows.environment(programs),
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    assert set(ids) <= seen(ended.stdout), set(ids) - seen(ended.stdout)


def run_by_pytest(folder: Path, ids: Sequence[str], least: float) -> str:
    """Run the tests by two workers, and return what is printed at the end."""
    for name, source in (("handler.py", "handler.py"), ("starter.py", "test_handler.py")):
        shutil.copy(starters.FOLDER / "python" / source, folder / name)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_missing.py").write_text(print_tests("pytest", folder, ids))
    [secret] = re.findall(r'^SECRET = "(.+)"$', (folder / "starter.py").read_text(), re.M)
    programs = workflows.write_programs(folder / "programs", {"connect-sim": CONNECT_SIM})
    ended = run(
        OLDEST,
        folder,
        *("-n", "2", "--connect-sim-coverage=coverage.json", f"--connect-sim-fail-under={least}"),
        f"--connect-sim-command={programs}/connect-sim sandbox",
        timeout=1500,
        JWT_SECRET=secret,
    )
    assert f"{len(ids)} passed" in ended.stdout, ended.stdout[-5000:]
    report = (folder / "coverage.json").read_text()
    assert set(ids) <= seen(report), set(ids) - seen(report)
    is_enough = json.loads(report)["percent"] >= least
    assert ended.returncode == (0 if is_enough else 1), ended.stdout
    return ended.stdout


@pytest.mark.node
@pytest.mark.parametrize("language", COMMANDS)
def test_stubs_run_by_exec(language: str, tmp_path: Path) -> None:
    run_by_exec(language, tmp_path, SAMPLE)


def test_stubs_run_by_pytest_and_workers_are_joined(tmp_path: Path) -> None:
    text = run_by_pytest(tmp_path, SAMPLE, 90)
    assert re.search(r"^Fulfillment requests +\d+ of \d+ +[\d.]+ %$", text, re.M), text
    assert re.search(r"^ERROR: [\d.]+ % of the cases are covered, less than 90 %\.$", text, re.M)


@pytest.mark.nightly(reason="nearly 200 tests in each of three languages")
@pytest.mark.node
@pytest.mark.parametrize("language", COMMANDS)
def test_all_stubs_run_by_exec(language: str, tmp_path: Path) -> None:
    run_by_exec(language, tmp_path, all_ids())


@pytest.mark.nightly(reason="nearly 200 tests in each of three languages")
def test_all_stubs_run_by_pytest(tmp_path: Path) -> None:
    run_by_pytest(tmp_path, all_ids(), 50)
