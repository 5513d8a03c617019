"""The pytest plugin against sandboxes: the project of its docs page, all queues, reports, xdist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import connect_sim
from checks.trace_file import SUFFIX
from portal import starters
from tests import environments, program
from tests.marks import nightly
from tests.plugin import docs_project
from tests.processes import ROOT, Sandbox, environment, sandbox

PLUGIN = ROOT / "pytest-connect-sim"
PROJECTS = Path(__file__).parent / "projects"
REQUIREMENTS = "pytest>=8,<10\npytest-xdist>=3.6,<4\nrequests>=2.32,<3\n"
_SUPPORTED = [(3, minor) for minor in range(9, 14)]
_AVAILABLE = environments.versions(*_SUPPORTED)
OLDEST, NEWEST = _AVAILABLE[0], _AVAILABLE[-1]


def interpreter(version: tuple[int, int]) -> str:
    """Return the interpreter of an environment with the plugin's dependencies."""
    name = f"plugin-{version[0]}.{version[1]}"
    return str(environments.python(name, REQUIREMENTS, only=version))


def run(
    version: tuple[int, int],
    folder: Path,
    *arguments: str,
    timeout: float = 300,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin in a folder."""
    env = {
        **environments.calling_loopback(),
        "PYTHONPATH": str(PLUGIN / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    # The machine may be busy: 5 s are for a person's.
    options = ["-p", "pytest_connect_sim.plugin", "-q", "-o", "connect_sim_timeout=30"]
    return subprocess.run(
        [interpreter(version), "-m", "pytest", *options, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    # On a busy machine a handler may pause for longer than its learned settle time.
    with sandbox(tmp_path_factory.mktemp("sandbox"), SIM_SETTLE_TIME="0.3") as started:
        yield started


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The docs page's project, and tests of all methods, with a conftest of their own."""
    docs_project.write(tmp_path)
    for name in ("conftest.py", "test_queues.py", "test_faults.py"):
        shutil.copy(PROJECTS / name, tmp_path)
    return tmp_path


def shared(running: Sandbox) -> Mapping[str, str]:
    return {"CONNECT_SIM_URL": running.url, "SIM_DATA_DIR": str(running.data_dir)}


def test_plugin_and_server_have_one_version() -> None:
    text = (PLUGIN / "src" / "pytest_connect_sim" / "version.py").read_text()
    assert re.findall(r'^VERSION = "(.+)"$', text, re.M) == [connect_sim.__version__]


# The newest runs the installed plugin in tests/packaging.
@pytest.mark.parametrize(
    "version",
    [OLDEST, *(nightly(each, reason="runs in packaging") for each in {NEWEST} - {OLDEST})],
)
def test_plugins_own_tests_pass(version: tuple[int, int]) -> None:
    ended = run(version, PLUGIN, "-p", "no:cacheprovider")
    assert ended.returncode == 0, ended.stdout


def test_all_methods_on_a_shared_sandbox_by_two_workers(running: Sandbox, project: Path) -> None:
    uses, draws = project / "uses", project / "draws"
    ended = run(OLDEST, project, "-n", "2", **shared(running), USES=str(uses), DRAWS=str(draws))
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^\d\d passed", ended.stdout, re.M), ended.stdout
    # No test began before the one before had ended, whichever worker ran it.
    lines = [line.partition(" ") for line in uses.read_text().splitlines()]
    assert {line[2].rpartition(" ")[2] for line in lines} == {"gw0", "gw1"}
    for begins, ends in zip(lines[::2], lines[1::2], strict=True):
        assert (begins[0], ends[0], begins[2]) == ("begins", "ends", ends[2])
    # Both workers have drawn the same faults by the same seed.
    drawn = [json.loads(line) for line in draws.read_text().splitlines()]
    assert {worker for worker, _ in drawn} == {"gw0", "gw1"}
    assert all(statuses == drawn[0][1] for _, statuses in drawn)


@pytest.mark.nightly(reason="tests/e2e/test_init.py runs them, with one Python")
def test_first_tests_of_home_pass(running: Sandbox, tmp_path: Path) -> None:
    for name in ("handler.py", "test_handler.py"):
        shutil.copy(starters.FOLDER / "python" / name, tmp_path)
    ended = run(NEWEST, tmp_path, "test_handler.py", **shared(running))
    assert ended.returncode == 0 and "2 passed" in ended.stdout, ended.stdout


def test_reports_of_failed_tests_say_why(
    running: Sandbox, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(PROJECTS / "broken.py", project / "test_broken.py")
    ended = run(
        NEWEST, project, "test_broken.py", "--connect-sim-trace=on-failure", **shared(running)
    )
    assert ended.returncode == 1, ended.stdout
    lines = (PROJECTS / "broken.py").read_text().splitlines()
    soft = [number for number, line in enumerate(lines, 1) if "soft=True" in line]
    first, second = re.split(r"^_+ (?=test_handler_that_is_called)", ended.stdout, flags=re.M)
    for text in (
        "to be approved; it has been pending since ",
        "approve was rejected: 400 VAL_001",
        "Nothing is left that could make it true: the sandbox is idle.",
        "status: expected approved, was pending",
        "The handler's last API error:",
        "Parameter tenant is required.",
        "created → pending by distributor",
        '>       connect_sim.expect(order).status("approved")',
    ):
        assert text in first
    for text in (
        "2 soft expectations are not met.",
        f"1. test_broken.py:{soft[0]}: Expected a successful request to WH-",
        ": Handler returned HTTP 500 (expected 2xx).\n\nNearest to it:",
        "outcome: expected delivered, was failed: Handler returned HTTP 500",
        f"2. test_broken.py:{soft[1]}: Expected at most 1 request to WH-",
        "calls: expected at most 1 call, was ",
    ):
        assert text in second
    assert "expectations.py" not in ended.stdout
    summary = ended.stdout.rpartition("short test summary info")[2]
    assert "test_handler_that_forgets_a_parameter - Expected PR-" in summary
    assert "test_handler_that_is_called_too_often - Expected a " in summary
    names = ("forgets_a_parameter", "is_called_too_often")
    folder = project / "connect-sim-traces"
    forgetful, repeated = paths = [
        folder / f"test_broken.py-test_handler_that_{name}{SUFFIX}" for name in names
    ]
    assert sorted(folder.iterdir()) == [folder / ".gitignore", *paths]
    monkeypatch.setenv("COLUMNS", "160")
    shown = program.run("trace", str(forgetful))
    for text in (
        "  Expected PR-",
        "status: expected approved, was pending",
        "    Response: 200",
        "400 VAL_001",
        "Parameter tenant is required.",
        " is pending, since ",
    ):
        assert text in shown
    assert len(shown.splitlines()) <= 30
    content = program.run_json("trace", str(repeated))
    assert len(content["trace"]["failures"]) == 2
    assert content["trace"]["moment"]["attempt"] and len(content["deliveries"]) == 1
    for key in (running.vendor_key, running.provider_key):
        assert key.partition(":")[2] not in f"{content}{shown}"
    for key in (running.vendor_key, running.provider_key):
        assert key not in ended.stdout


def test_wrong_keys_are_refused_before_a_test(running: Sandbox, project: Path) -> None:
    keys = {"CONNECT_SIM_VENDOR_KEY": "SU-1:a", "CONNECT_SIM_PROVIDER_KEY": "SU-2:b"}
    ended = run(NEWEST, project, "-x", "test_handler.py", CONNECT_SIM_URL=running.url, **keys)
    assert ended.returncode == 1
    assert "refuses the API keys (401)" in ended.stdout
    assert "Traceback" not in ended.stdout


@pytest.mark.nightly(reason="a sandbox of its own")
def test_environment_of_the_plugin_is_not_that_of_the_server(tmp_path: Path) -> None:
    env = environment(tmp_path)
    code = "import pytest_connect_sim, sys; assert 'django' not in sys.modules"
    env["PYTHONPATH"] = str(PLUGIN / "src")
    subprocess.run([interpreter(NEWEST), "-c", code], env=env, check=True, timeout=60)
