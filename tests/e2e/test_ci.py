"""The action, and the workflows and commands of docs/ci.md: their shell steps, as they stand."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import doc_blocks, program, workflows
from tests.engines import until
from tests.git_repository import Repository
from tests.processes import ROOT, copy_first_data, free_port
from tests.workflows import Job

PAGE = "docs/ci.md"
WORKFLOWS = doc_blocks.read("yaml", PAGE)
SHELL = doc_blocks.read("sh", PAGE)
# A published image needs no such block.
PUSH = {"push": "builds and pushes an image, which needs a Docker engine"}
LEFT_OUT = PUSH if "push" in SHELL else {}
# As the page names them, which depends on whether they are published.
START, COLLECT = re.findall(r"uses: (?!actions/|astral-sh/)(\S+)", WORKFLOWS["github-action"])
ACTIONS = {START: ROOT / "action", COLLECT: ROOT / "action" / "collect"}
# With all characters that JSON, sed, GitHub's commands or a shell could take for something else.
VENDOR_KEY = "SU-610-138-900:key'of\"a\\sandbox%41$HOME"

# Programs of a CI machine, which use this checkout.
PIP = """#!/bin/sh
# Installs nothing; the files of the command exist.
test "$1" = install && for file in "$@"; do
  case "$file" in *.whl | *.txt) test -f "$file" || exit 1 ;; esac
done
"""
UVX = f"""#!/bin/sh
test "$1" = --python && shift 2
test "$1" = --from && test "$3" = connect-sim || exit 1
case "$2" in *.whl) test -f "$2" || exit 1 ;; connect-sim==*) ;; *) exit 1 ;; esac
shift 3
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""
PYTEST = f"""#!/bin/sh
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONPATH={ROOT}/pytest-connect-sim/src \
exec {sys.executable} -m pytest -p pytest_connect_sim.plugin -p no:cacheprovider "$@"
"""
# A project with two tests, of which one fails, and with one in JavaScript.
TESTS = """
import pytest


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


@pytest.fixture
def order(connect_sim, connect_sim_serve):
    product = connect_sim.product()
    connect_sim.webhook(product, connect_sim_serve(app))
    return connect_sim.purchase(product)


def test_order_is_pending(connect_sim, order):
    connect_sim.expect(order).status("pending")
"""
FAILING = """

def test_order_is_approved(connect_sim, order):
    connect_sim.expect(order).status("approved", timeout=0.1)
"""
CHECK = """
const { CONNECT_SIM_URL, CONNECT_SIM_VENDOR_KEY, CONNECT_SIM_PROVIDER_KEY } = process.env;
const api = process.env.CONNECT_SIM_API_URL ?? `${CONNECT_SIM_URL}/public/v1`;
for (const key of [CONNECT_SIM_VENDOR_KEY, CONNECT_SIM_PROVIDER_KEY]) {
  const headers = { Authorization: `ApiKey ${key}` };
  const response = await fetch(`${api}/requests?limit=1`, { headers });
  if (!response.ok) throw new Error(await response.text());
}
console.log("both keys are accepted");
"""


def write_project(folder: Path, tests: str) -> Path:
    """Write a repository of a handler's tests, with the wheels that the page expects."""
    (folder / "wheels").mkdir(parents=True)
    for name in re.findall(r"wheels/([\w.-]+\.whl)", "".join(WORKFLOWS.values())):
        (folder / "wheels" / name).touch()
    (folder / "requirements.txt").touch()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_orders.py").write_text(tests)
    (folder / "package.json").write_text('{"scripts": {"test": "node check.mjs"}}')
    (folder / "check.mjs").write_text(CHECK)
    return folder


def steps_of(name: str) -> list[dict[str, Any]]:
    """Return the steps of a workflow's only job, or those that a block shows."""
    if WORKFLOWS[name].startswith("- "):
        return list(workflows.load(f"steps:\n{WORKFLOWS[name]}")["steps"])
    [job] = workflows.load(WORKFLOWS[name])["jobs"].values()
    return list(job["steps"])


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scripts = {"pip": PIP, "uvx": UVX, "pytest": PYTEST}
    return workflows.write_programs(tmp_path_factory.mktemp("programs"), scripts)


@pytest.fixture(scope="module")
def job(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The job of the workflow with the action, whose steps have succeeded."""
    root = tmp_path_factory.mktemp("job")
    job = Job(
        write_project(root / "work", TESTS),
        root / "temp",
        {
            **workflows.environment(programs),
            "SIM_VENDOR_API_KEY": VENDOR_KEY,
            # Of the project under test; a sandbox with them would not start.
            "DATABASE_URL": "postgres://nowhere.invalid/db",
            "DJANGO_SETTINGS_MODULE": "project.conf",
        },
        ACTIONS,
    )
    (job.workspace / ".env").write_text("SIM_BIND=nowhere\n")
    copy_first_data(job.temp / "connect-sim")
    try:
        job.run(steps_of("github-action"))
        assert not job.failed, job.printed
        yield job
    finally:
        stop(job.temp / "connect-sim")


def stop(data_dir: Path) -> None:
    """Stop the sandbox that the action has started."""
    pid = int((data_dir / "pid").read_text())
    os.kill(pid, signal.SIGTERM)
    until(lambda: has_ended(pid), "the end of the sandbox", timeout=20)


def has_ended(pid: int) -> bool:
    # It is no child of this process, so it may be a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def in_job(name: str, job: Job) -> str:
    """Return a block with the address and the vendor's key of the job's sandbox."""
    text = re.sub(
        r"http://(?:127\.0\.0\.1|sandbox):8000", job.env["CONNECT_SIM_URL"], WORKFLOWS[name]
    )
    keys = {party: job.env[f"CONNECT_SIM_{party}_KEY"] for party in ("VENDOR", "PROVIDER")}
    return re.sub(
        r"(CONNECT_SIM_(\w+)_KEY): .*", lambda m: f"{m[1]}: {json.dumps(keys[m[2]])}", text
    )


# --- the action ---------------------------------------------------------------------------------


def test_action_exports_url_and_masked_keys_of_a_ready_sandbox(job: Job) -> None:
    env, state = job.env, json.loads((job.temp / "connect-sim" / "sandbox.json").read_text())
    assert env["CONNECT_SIM_URL"] == state["url"]
    assert env["CONNECT_SIM_API_URL"] == f"{state['url']}/public/v1"
    assert env["CONNECT_SIM_VENDOR_KEY"] == state["vendor_api_key"] == VENDOR_KEY
    assert env["CONNECT_SIM_PROVIDER_KEY"] == state["provider_api_key"]
    # Where `connect-sim check` leaves traces, and collect looks for them.
    assert env["CONNECT_SIM_TRACES"] == str(job.workspace / "connect-sim-traces")
    assert job.masked == {VENDOR_KEY, state["provider_api_key"]}
    for word in (VENDOR_KEY, state["provider_api_key"], "/sign-in/"):
        assert word not in job.shown
    assert requests.get(f"{state['url']}/readyz", timeout=10).ok


def test_steps_after_the_action_have_its_variables(job: Job) -> None:
    assert "both keys are accepted" in job.shown
    assert [used for used, _ in job.used] == ["actions/checkout@v4", "astral-sh/setup-uv@v6"]


def test_outputs_of_the_action_are_its_variables(job: Job) -> None:
    """The page's table has both, beside each other."""
    action = workflows.load((ROOT / "action" / "action.yml").read_text())
    page = (ROOT / PAGE).read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([a-z-]+)` \|", page, re.MULTILINE)
    assert [output for _, output in rows] == [*action["outputs"]]
    for variable, output in rows:
        assert f"{variable}" in action["outputs"][output]["description"]
        assert job.env[variable]
    inputs = re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", page, re.MULTILINE)
    assert [name for name, _ in inputs] == [*action["inputs"]]
    for name, default in inputs:
        if default.startswith("`") and default.endswith("`"):
            assert default.strip("`") == action["inputs"][name]["default"]


def test_inputs_reach_scripts_as_variables_only() -> None:
    """GitHub replaces expressions before the shell reads a script: an injection."""
    for folder in ACTIONS.values():
        for step in workflows.load((folder / "action.yml").read_text())["runs"]["steps"]:
            assert "${{" not in step.get("run", "")


def test_collect_uploads_what_happened_without_keys(job: Job) -> None:
    sample = {"queue": "fulfillment", "product": "PRD-814-505-018"}
    keys = {"Authorization": f"ApiKey {VENDOR_KEY}"}
    created = requests.post(
        f"{job.env['CONNECT_SIM_URL']}/sandbox/queue/samples", json=sample, headers=keys, timeout=30
    ).json()
    (job.workspace / "connect-sim-traces").mkdir(exist_ok=True)
    (job.workspace / "connect-sim-traces" / "test.txt").write_text("a trace")
    failed = replace(job, failed=True, printed="", used=[])
    failed.run(steps_of("github-action"))
    assert "warning" not in failed.printed and "Connect Sim is running" in failed.printed
    [(used, given)] = failed.used
    assert used == "actions/upload-artifact@v4" and given["name"] == "connect-sim"
    files = {path.name: path.read_text() for path in Path(given["path"]).rglob("*.*")}
    assert {
        "sandbox.log",
        "timeline-1.json",
        "timeline-2.json",
        "deliveries.json",
        "api-calls.json",
        "test.txt",
    } == files.keys()
    assert created["id"] in files["timeline-1.json"]
    assert json.loads(files["timeline-2.json"])["entries"] == []
    for text in (failed.shown, *files.values()):
        assert VENDOR_KEY not in text and job.env["CONNECT_SIM_PROVIDER_KEY"] not in text
        assert not re.search(r"/sign-in/[^*]", text)


def test_collect_without_a_sandbox_says_so(programs: Path, tmp_path: Path) -> None:
    env = workflows.environment(programs)
    collected = Job(tmp_path, tmp_path / "temp", env, ACTIONS)
    collected.run([{"uses": COLLECT}])
    assert not collected.failed and "::warning" in collected.printed
    url = f"http://127.0.0.1:{free_port()}"
    env |= {"CONNECT_SIM_URL": url, "CONNECT_SIM_VENDOR_KEY": "key"}
    gone = Job(tmp_path, tmp_path / "temp", env, ACTIONS)
    gone.run([{"uses": COLLECT}])
    assert not gone.failed and "has not responded" in gone.printed


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"command": "echo ApiKey SU-100-200-300:secret; false"}, "ended before it was ready"),
        ({"command": "exec sleep 100 #", "timeout": "1"}, "not ready after 1 s"),
        ({"timeout": "1; id"}, "timeout must be a number"),
    ],
)
def test_action_fails_with_a_message_and_the_log(
    programs: Path, tmp_path: Path, inputs: dict[str, str], message: str
) -> None:
    job = Job(tmp_path, tmp_path / "temp", workflows.environment(programs), ACTIONS)
    job.run([{"uses": START, "with": inputs}])
    assert job.failed and re.search(f"^::error title=Connect Sim::.*{message}", job.printed, re.M)
    assert "secret" not in job.printed
    assert ("SU-100-200-300:***" in job.printed) == ("echo" in inputs.get("command", ""))
    if "timeout" not in inputs or inputs["timeout"] == "1":
        until(lambda: has_ended(int((tmp_path / "temp/connect-sim/pid").read_text())), "its end")


def test_data_folder_is_exported_as_an_absolute_path_also_if_the_start_fails(
    programs: Path, tmp_path: Path
) -> None:
    """The second action uploads its log."""
    job = Job(tmp_path, tmp_path / "temp", workflows.environment(programs), ACTIONS)
    given = {"command": "echo started; exit 3; :", "data-dir": "my data"}
    job.run([{"uses": START, "with": given}, {"uses": COLLECT, "if": "failure()"}])
    assert job.failed and job.env["SIM_DATA_DIR"] == str(tmp_path / "my data")
    [(_, upload)] = job.used
    assert (Path(upload["path"]) / "sandbox.log").read_text() == "started\n"


def proving(programs: Path, tmp_path: Path, **inputs: str) -> tuple[Job, list[str]]:
    """Run the step of the action that proves; return the words that the program got."""
    script = "#!/bin/sh\nprintf '%s\\n' \"$@\" > words\n"
    workflows.write_programs(programs, {"recorder": script})
    job = Job(tmp_path, tmp_path / "temp", workflows.environment(programs), ACTIONS)
    job.env["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
    action = workflows.load((ROOT / "action" / "action.yml").read_text())
    given = {name: str(each["default"]) for name, each in action["inputs"].items()} | inputs
    job.run(action["runs"]["steps"][-1:], workflows.Scope(given))
    words = tmp_path / "words"
    return job, words.read_text().splitlines() if words.exists() else []


def test_action_proves_a_change_by_the_program_of_its_command(
    programs: Path, tmp_path: Path
) -> None:
    step = next(step for step in steps_of("github-prove") if step.get("uses") == START)
    given = {**step["with"], "command": "recorder sandbox\n", "prove-before": "a $(touch b) 'c'"}
    job, words = proving(programs, tmp_path, **given)
    assert not job.failed, job.printed
    assert words == [
        *("check", "prove", "--before", "a $(touch b) 'c'", "--run", "python handler.py"),
        *("--select", "auth.no_header", "--receipt", "receipt.json"),
    ]


def test_action_proves_nothing_unless_it_is_asked(programs: Path, tmp_path: Path) -> None:
    job, words = proving(programs, tmp_path, command="recorder sandbox")
    assert not job.failed and words == []
    job, words = proving(programs, tmp_path, command="recorder", **{"prove-before": "main"})
    assert job.failed and words == [] and "::error title=Connect Sim::" in job.printed


@pytest.mark.nightly(reason="checks of two handlers; a recorder tests the step")
def test_job_with_the_action_proves_a_change(programs: Path, tmp_path: Path) -> None:
    repository = Repository(write_project(tmp_path / "work", TESTS))
    source = "import os, sys\nsys.path.insert(0, {!r})\nfrom tests.checks.handlers import lookups\n"
    for name in ("accepts_calls_without_token", "reference"):
        text = f"{source.format(str(ROOT))}lookups.find({name!r})(os.environ).serve()\n"
        repository.commit(handler_py=text)
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    workflows.write_programs(programs, {"python": f'#!/bin/sh\nexec {sys.executable} "$@"\n'})
    env = {**workflows.environment(programs), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    job = Job(repository.folder, tmp_path / "temp", env, ACTIONS)
    options = "--ignore '[!a]*' --receipt receipt.json"
    steps = [
        {**step, "with": {**step["with"], "prove-options": options}}
        if step.get("uses") == START
        else step
        for step in steps_of("github-prove")
    ]
    try:
        job.run(steps)
        assert not job.failed, job.printed
        assert "Proven: auth.no_header failed before" in job.printed
        assert "check prove: Proven" in (tmp_path / "summary.md").read_text()
        used, given = job.used[-1]
        assert used == "actions/upload-artifact@v4"
        receipt, traces = given["path"].split()
        proof = json.loads((repository.folder / receipt).read_text())
        assert proof["verdict"] == "proven"
        # What fails before leaves none.
        assert traces == "connect-sim-traces/" and not (repository.folder / traces).exists()
    finally:
        stop(job.temp / "connect-sim")


@pytest.mark.nightly(reason="the steps of the action are tested with the checkout")
def test_job_of_this_project_with_the_action(programs: Path, tmp_path: Path) -> None:
    """It starts the installed package, which is the action's default."""
    env = {**workflows.environment(programs), "PYTHONPATH": str(ROOT)}
    env["PATH"] = f"{programs}:{Path(sys.executable).parent}:{env['PATH']}"
    actions = {"./action": ROOT / "action", "./action/collect": ROOT / "action" / "collect"}
    job = Job(tmp_path, tmp_path / "temp", env, actions)
    described = workflows.load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job.run(described["jobs"]["action"]["steps"])
    assert not job.failed and "warning" not in job.printed, job.printed
    assert job.used[-1][0] == "actions/upload-artifact@v4"
    stop(tmp_path / "temp" / "connect-sim")


# --- workflows and commands of the page -----------------------------------------------------------


def test_each_block_of_the_page_is_run_or_left_out() -> None:
    run = {
        "github-action",
        "github-prove",
        "github-pytest",
        "github-old-python",
        "gitlab-pytest",
        "github-service",
        "gitlab-service",
        "github-exec",
        "exec",
    }
    doc_blocks.check_all_run([*WORKFLOWS, *SHELL], run, LEFT_OUT)


def test_github_job_with_pytest_keeps_report_and_traces_of_a_failure(
    job: Job, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "work", TESTS + FAILING)
    # The sandbox of this file, so that none has to be started.
    run = Job(project, tmp_path / "temp", {**job.env})
    run.run(steps_of("github-pytest"))
    assert run.failed and "1 failed, 1 passed" in run.printed, run.printed
    used, given = run.used[-1]
    assert used == "actions/upload-artifact@v4"
    report, traces = (project / path for path in given["path"].split())
    assert "to be approved" in report.read_text() and "timeline" in report.read_text().lower()
    [trace] = traces.rglob("*test_order_is_approved*")
    shown = program.run("trace", str(trace)).splitlines()
    assert len(shown) <= 30 and shown[1].startswith("  Expected PR-")


@pytest.mark.nightly(reason="uvx installs the wheel and its dependencies")
def test_github_job_with_an_old_python_starts_the_sandbox_by_uvx(
    programs: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "work", TESTS)
    run = Job(project, tmp_path / "temp", workflows.environment(programs))
    run.run(steps_of("github-old-python"))
    assert not run.failed and "1 passed" in run.printed, run.printed


def test_gitlab_job_with_pytest_writes_the_report(job: Job, tmp_path: Path) -> None:
    project = write_project(tmp_path / "work", TESTS)
    gitlab = workflows.load(WORKFLOWS["gitlab-pytest"])["test"]
    workflows.run_gitlab_job(gitlab, project, job.env)
    assert 'failures="0"' in (project / gitlab["artifacts"]["reports"]["junit"]).read_text()


@pytest.mark.node
def test_github_job_with_a_service_runs_its_tests(job: Job, programs: Path, tmp_path: Path) -> None:
    [described] = workflows.load(in_job("github-service", job))["jobs"].values()
    project = write_project(tmp_path / "work", TESTS)
    plain = workflows.environment(programs)
    run = Job(project, tmp_path / "temp", {**plain, **described["env"]})
    run.run(described["steps"])
    assert not run.failed and "both keys are accepted" in run.printed, run.printed
    check_service(described["services"]["sandbox"]["env"], WORKFLOWS["github-service"])


@pytest.mark.node
def test_gitlab_job_with_a_service_runs_its_tests(job: Job, programs: Path, tmp_path: Path) -> None:
    gitlab = workflows.load(in_job("gitlab-service", job))["test"]
    project = write_project(tmp_path / "work", TESTS)
    plain = workflows.environment(programs)
    assert "both keys are accepted" in workflows.run_gitlab_job(gitlab, project, plain)
    variables = gitlab["variables"]
    check_service(
        {n: v for n, v in variables.items() if n.startswith("SIM_")}, WORKFLOWS["gitlab-service"]
    )


def check_service(given: dict[str, str], block: str) -> None:
    """Check that the service gets variables that exist, and the keys that tests have."""
    variables = {*re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)}
    assert given.keys() <= variables
    for party in ("VENDOR", "PROVIDER"):
        [key] = re.findall(rf"CONNECT_SIM_{party}_KEY: (.*)", block)
        assert key == given[f"SIM_{party}_API_KEY"]


@pytest.mark.node
def test_command_for_any_language_runs_tests_with_a_sandbox(programs: Path, tmp_path: Path) -> None:
    project = write_project(tmp_path / "work", TESTS)
    ended = subprocess.run(
        ["sh", "-euc", SHELL["exec"]],
        cwd=project,
        env=workflows.environment(programs),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "both keys are accepted" in ended.stdout


@pytest.mark.node
def test_github_job_for_any_language_keeps_the_data_of_failed_tests(
    programs: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "work", TESTS)
    (project / "check.mjs").write_text("process.exit(3);")
    run = Job(project, tmp_path / "temp", workflows.environment(programs))
    run.run(steps_of("github-exec"))
    assert run.failed
    used, given = run.used[-1]
    assert used == "actions/upload-artifact@v4"
    kept = {path.name for path in (project / given["path"]).iterdir()}
    assert {"connect.sqlite3", "sandbox.log"} <= kept
