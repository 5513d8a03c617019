"""The page docs/check-your-handler.md: its commands and jobs, with a handler that passes."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from checks import runner
from checks.options import Options
from tests import doc_blocks, program, workflows
from tests.e2e.test_ci import PIP, UVX
from tests.processes import ROOT, Process, Sandbox, free_port, manage, output
from tests.unit.checks.reports import report, result

PAGE = "docs/check-your-handler.md"
SHELL = doc_blocks.read("sh", "docs/check-your-handler.md")
JOBS = doc_blocks.read("yaml", "docs/check-your-handler.md")
# Beside a sandbox and a handler.
RUNNING = ("url", "webhook")
# All checks take minutes; tests/checks runs them.
FEW = "connect-sim check --select auth.no_header --jobs 1"
HANDLER = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.checks.handlers import lookups
lookups.find(lookups.REFERENCE)(os.environ).serve()
"""
CONNECT_SIM = f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""
PYTHON = f"""#!/bin/sh
exec {sys.executable} "$@"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a handler, and in `programs` what its author has installed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "handler.py").write_text(HANDLER)
    (folder / "requirements.txt").touch()
    for wheel in re.findall(r"wheels/[\w.-]+\.whl", "".join(JOBS.values())):
        (folder / wheel).parent.mkdir(exist_ok=True)
        (folder / wheel).touch()
    programs = {"pip": PIP, "uvx": UVX, "connect-sim": CONNECT_SIM, "python": PYTHON}
    workflows.write_programs(folder / "programs", programs)
    return folder


def lines(block: str) -> list[list[str]]:
    """Return the arguments of the program in each line of a block."""
    words = [shlex.split(line) for line in block.splitlines()]
    return [each[each.index("connect-sim") + 1 :] for each in words if "connect-sim" in each]


COMMANDS = [
    pytest.param(arguments, id=f"{name} {number}")
    for name, block in SHELL.items()
    if name not in RUNNING
    for number, arguments in enumerate(lines(block))
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_command_is_valid(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """As far as it can be told without a run."""
    ran: list[Options] = []

    def record(options: Options, progress: Any) -> Any:
        ran.append(options)
        return report(result())

    monkeypatch.setattr(runner, "run", record)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}")
    if "--explain" in arguments:
        assert program.run(*arguments).startswith(arguments[-1])
        return
    assert "Pass: 1 of 1 check passed" in program.run(*arguments)
    assert [each.run.split()[:2] for each in ran] == [["python", "handler.py"]]


def test_job_of_github_checks_the_handler(folder: Path) -> None:
    summary = folder / "summary.md"
    env = workflows.environment(folder / "programs") | {"GITHUB_STEP_SUMMARY": str(summary)}
    job = workflows.Job(folder, folder / "temp", env)
    [described] = workflows.load(JOBS["github-check"])["jobs"].values()
    steps = json.loads(json.dumps(described["steps"]).replace("connect-sim check", FEW))
    job.run(steps)
    assert not job.failed, job.printed
    assert "Pass: 1 of 1 check passed" in job.printed
    assert (folder / "check.html").read_text().startswith("<!doctype html>")
    assert "connect-sim check: Pass" in summary.read_text()
    assert job.used[-1] == ("actions/upload-artifact@v4", {"name": "check", "path": "check.html"})


@pytest.mark.nightly(reason="the command of the GitHub job")
def test_job_of_gitlab_runs_the_same_command(folder: Path) -> None:
    """With JUnit XML beside it, which GitLab shows."""
    [job] = workflows.load(JOBS["gitlab-check"]).values()
    *_, command = job["script"]
    [github] = re.findall(r"run: (uvx .*)", JOBS["github-check"])
    assert command.replace(" --junit check.xml", "") == github
    assert job["artifacts"]["reports"] == {"junit": "check.xml"}


def test_running_handler_is_checked(running: Sandbox, folder: Path) -> None:
    """One that takes tokens of any webhook with its secret, and then one of a single webhook."""
    secret = re.findall(r"JWT-[-\w]+", SHELL["url"])[0]
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    env = running.process.env
    listen = manage("listen", "--approve", "--secret", secret, "--port", str(port))
    with handler(listen, env, folder, "Listening at"):
        check(running, folder, SHELL["url"].replace("http://127.0.0.1:9000/", url))
    product = "PRD-814-505-018"
    webhook = running.as_vendor(
        "POST",
        "/notifications/webhooks",
        {
            "label": "Handler",
            "product_id": product,
            "external_url": url,
            "object_class": "fulfillment_request",
            "jwt_secret": secret,
        },
    )["id"]
    env |= {
        "PORT": str(port),
        "JWT_SECRET": secret,
        "WEBHOOK_ID": webhook,
        "PRODUCT_ID": product,
        "CONNECT_API_KEY": f"ApiKey {running.vendor_key}",
        "CONNECT_API_URL": f"{running.url}/public/v1",
    }
    with handler([sys.executable, str(folder / "handler.py")], env, folder, "Listening"):
        check(running, folder, re.sub(r"WH-[-\d]+", webhook, SHELL["webhook"]))


@contextmanager
def handler(command: list[str], env: dict[str, str], folder: Path, says: str) -> Iterator[None]:
    process = Process(command, env, folder / "handler.log")
    try:
        process.start_until(says)
        yield
    finally:
        process.stop()


def check(running: Sandbox, folder: Path, script: str) -> None:
    """Run a block with few checks, which pass, and leave the sandbox as it was."""
    before = running.as_tester().call("GET", "/sandbox/snapshots").json()
    script = script.replace("connect-sim check", FEW.replace(" --jobs 1", ""))
    env = {
        "PATH": f"{folder / 'programs'}:{os.environ['PATH']}",
        "SIM_DATA_DIR": str(running.data_dir),
    }
    assert "Pass: 1 of 1 check passed" in output(["sh", "-ec", script], env, folder, timeout=120)
    assert running.as_tester().call("GET", "/sandbox/snapshots").json() == before
