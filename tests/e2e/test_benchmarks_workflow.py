"""The workflow that measures on GitHub: its shell steps, as they stand, at a small size."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import runner
from tests import workflows
from tests.processes import ROOT
from tests.workflows import Job, Scope

FILE = ROOT / ".github" / "workflows" / "benchmarks.yml"
OUTPUT = Path("benchmarks/results/run.json")
# The servers are installed, or the parts that need them are not measured.
INSTALL = "#!/bin/sh\n"
# Installs nothing: the environment of the tests has all packages.
MAKE = f"""#!/bin/sh
test "$1 $2" = "PYTHON=python .venv/dev.stamp" || exit 1
mkdir -p .venv/bin benchmarks/results
printf '#!/bin/sh\\nPYTHONPATH={ROOT} exec {sys.executable} "$@"\\n' > .venv/bin/python
chmod +x .venv/bin/python
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    programs = workflows.write_programs(tmp_path / "programs", {"sudo": INSTALL, "make": MAKE})
    workspace = tmp_path / "work"
    workspace.mkdir()
    env = {**workflows.environment(programs), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    return Job(workspace, tmp_path / "temp", env)


def run(job: Job, names: str, options: str) -> None:
    workflow = workflows.load(FILE.read_text())
    assert workflow["on"].keys() == {"workflow_dispatch"}
    assert workflow["on"]["workflow_dispatch"]["inputs"].keys() == {"names", "options"}
    [steps] = [each["steps"] for each in workflow["jobs"].values()]
    job.run(steps, Scope({"names": names, "options": options}))


@pytest.mark.nightly(reason="runs a benchmark")
def test_workflow_measures_shows_the_report_and_keeps_the_raw_results(
    job: Job, tmp_path: Path
) -> None:
    run(job, "B7", "--quick")
    [result] = runner.read(job.workspace / OUTPUT)
    assert (result["name"], result["quick"]) == ("B7", True)
    # Times on a busy machine are no subject of a test, but that nothing else fails the run is.
    missed = [row.figure for row in result["rows"] if row.verdict == "FAIL"]
    assert job.failed == bool(missed), job.printed
    assert not any("scans" in figure for figure in missed)
    assert "### B7: a claim out of many deliveries" in (tmp_path / "summary").read_text()
    [upload] = [given for name, given in job.used if name.startswith("actions/upload-artifact")]
    assert upload["path"] == str(OUTPUT)


def test_workflow_fails_for_an_unknown_benchmark(job: Job) -> None:
    run(job, "B99", "")
    assert job.failed
    assert "unknown benchmark: B99" in job.printed
