"""The projects that `connect-sim init` writes: their workflows and READMEs, as they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from portal.starters import FOLDER, LANGUAGES
from tests import doc_blocks, examples, program, workflows
from tests.e2e import projects
from tests.e2e.test_ci import PIP
from tests.processes import ROOT, Process, Sandbox, free_port

HANDLERS = ["python", pytest.param("node", marks=pytest.mark.node), "php"]
READMES = {
    "python": "portal/static/portal/handlers/python/README.md",
    "node": "portal/static/portal/handlers/node/README.md",
    "php": "portal/static/portal/handlers/php/README.md",
}
# The options are valid; tests/checks runs checks of these handlers.
LIST = "connect-sim check --list"
PROGRAMS = {
    "pip": PIP,
    "connect-sim": f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
""",
    # The plugin is installed by the workflow.
    "python3": f"""#!/bin/sh
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_ADDOPTS="-p pytest_connect_sim.plugin" \
PYTHONPATH={ROOT}/pytest-connect-sim/src exec {sys.executable} "$@"
""",
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """What a CI machine has, and what its workflow installs."""
    return workflows.write_programs(tmp_path / "programs", PROGRAMS)


def project(language: str, folder: Path) -> Path:
    """Write a project, with empty files in place of the wheels that its README says to add."""
    examples.require(language)
    program.run("init", language, str(folder / "project"))
    (folder / "project" / "wheels").mkdir()
    for name in re.findall(r"wheels/([\w.-]+\.whl)", written(language)):
        (folder / "project" / "wheels" / name).touch()
    return folder / "project"


def written(language: str) -> str:
    return "".join(
        path.read_text()
        for path in (FOLDER / language).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )


@pytest.mark.parametrize("language", HANDLERS)
def test_workflow_passes(running: Sandbox, programs: Path, tmp_path: Path, language: str) -> None:
    folder = project(language, tmp_path)
    # The plugin of pytest uses a sandbox that runs; the other tests start one.
    env = workflows.environment(programs) | projects.shared(running)
    job = workflows.Job(folder, tmp_path / "temp", env)
    workflow = folder / ".github" / "workflows" / "test.yml"
    [described] = workflows.load(workflow.read_text())["jobs"].values()
    job.run(json.loads(json.dumps(described["steps"]).replace("connect-sim check", LIST)))
    assert not job.failed, job.printed
    # Of pytest, of Node.js' test runner, and of the script in PHP.
    assert re.search(r"\b2 passed|^# pass 2\b|(^ok .*\n){2}", job.printed, re.M), job.printed
    assert "auth.control" in job.printed
    assert job.used[-1] == (
        "actions/upload-artifact@v4",
        {"name": "check", "path": "check.html", "if-no-files-found": "ignore"},
    )


@pytest.mark.nightly(reason="tests that fail wait for half a minute")
@pytest.mark.parametrize("language", HANDLERS)
def test_workflow_fails_if_the_handler_forgets_a_parameter(
    running: Sandbox, programs: Path, tmp_path: Path, language: str
) -> None:
    """Which the tests notice before the checks."""
    folder = project(language, tmp_path)
    file = folder / LANGUAGES[language].file
    file.write_text(file.read_text().replace("fulfillment", "forgotten"))
    test = LANGUAGES[language].test.rpartition("&& ")[2]
    env = workflows.environment(programs) | projects.shared(running)
    ended = subprocess.run(
        ["sh", "-c", test], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    assert re.search("approved", ended.stdout), ended.stdout + ended.stderr


@pytest.mark.parametrize("language", HANDLERS)
def test_commands_of_the_readme_lead_to_an_approved_order(
    running: Sandbox, programs: Path, tmp_path: Path, language: str
) -> None:
    folder, port = project(language, tmp_path), str(free_port())
    blocks = {
        name: text.replace("9000", port)
        for name, text in doc_blocks.read("sh", READMES[language]).items()
    }
    env = workflows.environment(programs) | {"SIM_DATA_DIR": str(running.data_dir), "PORT": port}
    # The signal is for the handler, and not for its shell.
    *first, last = blocks["run"].splitlines()
    handler = Process(["sh", "-ec", "\n".join([*first, f"exec {last}"])], env, tmp_path / "log")
    handler.root = folder
    try:
        handler.start().wait_to_listen(int(port))
        printed = projects.run(f"set -e\n{blocks['order']}", folder, env).stdout
        webhook, order = re.search(r"WH-[\d-]+", printed), re.search(r"PR-[\d-]+", printed)
        assert webhook and order, printed
        handler.wait_to_print(f"approved {order[0]}")
        running.as_vendor("DELETE", f"/notifications/webhooks/{webhook[0]}")
    finally:
        handler.stop()
    # The last two are steps of the workflow.
    doc_blocks.check_all_run(blocks, {"run", "order", "test", "check"}, {})
