"""The example projects in environments of only what they declare, and broken handlers."""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import doc_blocks
from tests.e2e import broken_variants, projects
from tests.e2e.broken_variants import VARIANTS
from tests.e2e.projects import NEWEST, OLDEST
from tests.processes import ROOT, Sandbox, sandbox

# The machine may be busy: 5 s are for a person's.
PATIENT = ["-p", "no:cacheprovider", "-o", "connect_sim_timeout=30"]
PASSED = re.compile(r"^=* ?10 passed", re.M)
QUICK = 15.0  # seconds


@pytest.fixture(scope="module")
def failing_soon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    # Webhooks of broken handlers are out of order sooner, which saves most of their attempts.
    with sandbox(tmp_path_factory.mktemp("sandbox"), SIM_FAILURE_LIMIT="3") as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pytest project, with the wheels of this tree."""
    folder = projects.copy("pytest_project", tmp_path_factory.mktemp("projects"))
    projects.add_wheels(folder)
    return folder


def steps(project: Path) -> list[str]:
    """Return the shell steps of the project's workflow."""
    workflow = yaml.safe_load((project / ".github" / "workflows" / "tests.yml").read_text())
    [job] = workflow["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.nightly(reason="tests/e2e/test_docs_check_your_handler.py runs the job of GitHub")
def test_steps_of_the_workflow_pass(running: Sandbox, project: Path) -> None:
    """With a sandbox that runs: every night, and by tests/packaging, the plugin starts one."""
    python = projects.python_for(project, NEWEST)
    options = {"PATH": projects.path_with(python), "PYTEST_ADDOPTS": " ".join(PATIENT)}
    variables = {**projects.shared(running), **options}
    install, test = steps(project)
    # Everything is installed: no index is needed.
    ended = projects.run(install, project, {**variables, "PIP_NO_INDEX": "1"})
    assert ended.returncode == 0, ended.stdout
    ended = projects.run(test, project, variables)
    assert ended.returncode == 0, ended.stdout
    assert PASSED.search(ended.stdout), ended.stdout
    assert (project / "report.xml").exists()
    assert not (project / "connect-sim-traces").exists()


@pytest.mark.parametrize("name", VARIANTS)
def test_broken_handler_differs_from_the_example_in_one_place(name: str) -> None:
    variant = VARIANTS[name]
    path = ROOT / "examples" / "pytest_project" / f"{variant.module.replace('.', '/')}.py"
    assert path.read_text().count(variant.old) == 1


@pytest.mark.nightly(reason="minutes: ten test runs")
def test_each_test_passes_and_fails_with_a_readable_report_if_its_handler_is_broken(
    failing_soon: Sandbox, project: Path, tmp_path: Path
) -> None:
    """By two workers of the oldest Python, which share a sandbox."""
    shutil.copy(broken_variants.__file__, tmp_path)
    python = str(projects.python_for(project, OLDEST))
    variables = {**projects.shared(failing_soon), "PYTHONPATH": str(tmp_path)}
    command = [python, "-m", "pytest", *PATIENT, "-n", "2", "-p", "broken_variants"]
    ended = projects.run(command, project, variables)
    assert re.search(r"10 failed, 10 passed", ended.stdout), ended.stdout
    _, *parts = re.split(r"^_+ (test_\w+)\[broken\] _+$", ended.stdout, flags=re.M)
    reports = dict(zip(parts[::2], parts[1::2], strict=True))
    assert reports.keys() == VARIANTS.keys(), ended.stdout
    for name, variant in VARIANTS.items():
        missing = [text for text in variant.report if text not in reports[name]]
        assert not missing, f"{name}: {missing}\n{reports[name]}"
        # The last call that was refused, or that none was.
        assert re.search(r"last API error( -+)?:?\n", reports[name]), reports[name]
        # Our own code is not a part of the reports.
        assert "pytest_connect_sim/" not in reports[name]


@pytest.mark.nightly(reason="a bound in seconds, on an idle machine")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("version", sorted({OLDEST, (3, 11), NEWEST}))
def test_ten_tests_pass_in_time(project: Path, version: tuple[int, int], workers: int) -> None:
    """The server of an old Python runs from the environment of a newer one."""
    python = projects.python_for(project, version)
    arguments = ["-n", str(workers)] if workers > 1 else []
    if version < (3, 11):
        program = projects.python_for(project, NEWEST).parent / "connect-sim"
        arguments += ["--connect-sim-command", f"{program} sandbox"]
    command = [str(python), "-m", "pytest", *PATIENT, *arguments]
    projects.run(command, project, {})  # compiles the modules
    before = cpu_seconds()
    ended = projects.run(command, project, {})
    assert ended.returncode == 0, ended.stdout
    assert PASSED.search(ended.stdout), ended.stdout
    # Of each core: on a busy machine the time that passes says nothing.
    assert cpu_seconds() - before < QUICK * workers


def cpu_seconds() -> float:
    """Return the processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.node
def test_tests_of_the_node_project_pass(running: Sandbox, tmp_path: Path) -> None:
    folder = projects.copy("node_project", tmp_path / "examples")
    (tmp_path / "var").symlink_to(running.data_dir)
    commands = doc_blocks.read("sh", "examples/node_project/README.md")
    ended = projects.run(commands["test"], folder, {})
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^# pass [1-9]\d*\n# fail 0$", ended.stdout, re.M), ended.stdout
    doc_blocks.check_all_run(commands, {"test"}, {})


@pytest.mark.nightly(reason="a further run of its tests")
@pytest.mark.node
def test_failed_test_of_the_node_project_says_why(running: Sandbox, tmp_path: Path) -> None:
    folder = projects.copy("node_project", tmp_path)
    path = folder / "webhooks" / "handler.mjs"
    source = path.read_text()
    assert source.count("value: environment") == 1
    path.write_text(source.replace("value: environment", "value: ''"))
    command = ["node", "--test", "--test-name-pattern=creates an environment"]
    ended = projects.run(command, folder, projects.shared(running))
    assert ended.returncode == 1, ended.stdout
    for text in (
        '"is":"approved"',
        "status: expected approved, was pending",
        "Parameter activation_id is required.",
    ):
        assert text in ended.stdout


def test_projects_modules_have_the_names_of_the_servers_packages(project: Path) -> None:
    """What the tests above prove with them: neither hides the other."""
    assert (project / "webhooks").is_dir() and (project / "sandbox.py").exists()
    assert "sleep" not in "".join(path.read_text() for path in project.rglob("*.py"))
