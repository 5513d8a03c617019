"""The wheel in an environment of its own, beside a handler with modules of our names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from connect_sim import __version__
from portal.starters import FOLDER
from tests import environments, orders
from tests.engines import until
from tests.handlers import handler
from tests.marks import nightly
from tests.packaging import wheels
from tests.processes import ROOT, Process, Sandbox
from tests.queue import spreadsheets as sheets
from tests.sandbox.mcp import agents

KEY = "SU-100-200-300:vendor-key-of-the-file"


@dataclass
class Installed:
    """An environment, and a project that starts a sandbox there."""

    programs: Path
    project: Path
    env: dict[str, str]

    def start(self, name: str, *command: str) -> Process:
        """Start a program of the environment in the project's folder."""
        program = [str(self.programs / command[0]), *command[1:]]
        # `start` forks this project's programs from a process that has imported the checkout.
        process = Process(program, self.env, self.project.parent / f"{name}.log", self.project)
        with process.log.open("ab") as out:
            process.popen = subprocess.Popen(
                program,
                env=self.env,
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        return process

    def run(self, *command: str) -> str:
        """Return what a program of the environment prints in the project's folder."""
        program = [str(self.programs / command[0]), *command[1:]]
        done = subprocess.run(
            program, env=self.env, cwd=self.project, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(
    scope="module", params=[-1, nightly(0, reason="installs once more")], ids=["newest", "oldest"]
)
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    root = tmp_path_factory.mktemp("installed")
    programs = wheels.install(root / "environment", wheels.interpreters()[request.param])
    project = wheels.with_modules_of_our_names(root / "project")
    (project / ".env").write_text(f"SIM_VENDOR_API_KEY={KEY}\nSIM_QUIET=true\n")
    (root / "home").mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    # A handler's tests put its folder on the path of all processes that they start.
    env = {
        **kept,
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "home"),
        "PYTHONPATH": str(project),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "handler.settings",
    }
    return Installed(programs, project, env)


@pytest.fixture(scope="module")
def running(installed: Installed) -> Iterator[Sandbox]:
    """A sandbox that a project starts without options, but for a free port."""
    port = installed.project.parent / "port"
    process = installed.start("sandbox", "connect-sim", "--port", "0", "--port-file", str(port))
    try:

        def reported() -> bool:
            assert process.popen.poll() is None, process.printed
            return port.exists()

        # The first start compiles all modules.
        until(reported, "the port file", timeout=120)
        url = f"http://127.0.0.1:{port.read_text().strip()}"
        yield Sandbox(url, installed.project / "var", process).wait()
        assert process.stop(signal.SIGTERM) == 0, process.printed
    finally:
        process.popen.kill()
        process.popen.wait(10)


def test_sign_in_page_has_its_static_files(running: Sandbox) -> None:
    page = requests.get(f"{running.url}/", timeout=10)
    assert page.status_code == 200 and page.url.startswith(f"{running.url}/sign-in/")
    for path in (
        "/portal.css",
        "/portal.js",
        "/static/portal/icon.svg",
        "/static/django_htmx/htmx-2.min.js",
        "/static/admin/css/base.css",
        "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
    ):
        assert requests.get(f"{running.url}{path}", timeout=10).status_code == 200, path


def test_env_file_of_the_current_folder_is_read(running: Sandbox) -> None:
    assert running.vendor_key == KEY


def test_version_is_that_of_the_wheel(running: Sandbox, installed: Installed) -> None:
    assert installed.run("connect-sim", "--version") == f"connect-sim {__version__}\n"
    shown = running.call("GET", "/sandbox/version")
    assert shown.json() == {"version": __version__}


def test_order_is_delivered_and_task_runs(running: Sandbox) -> None:
    """The engine, and a task of Celery's worker."""
    with handler() as served:
        hook = orders.webhook(running, served.url)
        orders.purchase(running)
        assert served.next().method == "POST"
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook['id']}")
    asset = running.as_vendor("GET", "/assets?status=active&limit=1")[0]
    named = {"item_search_value": asset["items"][0]["mpn"], "asset_search_value": asset["id"]}
    body = {name: {"id": asset[name]["id"]} for name in ("product", "contract")}
    usage = running.as_vendor("POST", "/usage/files", {"name": "November", **body})
    path = f"/usage/files/{usage['id']}"
    response = requests.post(
        f"{running.url}/public/v1{path}/upload",
        headers={"Authorization": f"ApiKey {running.vendor_key}"},
        files={"usage_file": ("usage.csv", sheets.csv(sheets.table([sheets.row(1, **named)])))},
        timeout=30,
    )
    assert response.status_code == 201, response.text
    until(lambda: running.as_vendor("GET", path)["status"] == "ready", "the task")


def test_commands_find_the_sandbox_of_the_folder(running: Sandbox, installed: Installed) -> None:
    assert "UTC" in installed.run("connect-sim", "clock", "show")
    state = json.loads(installed.run("python", "-m", "connect_sim", "clock", "show", "--json"))
    assert not state["moving"]


def test_agents_need_the_extra(running: Sandbox, installed: Installed) -> None:
    refused = running.call("POST", agents.PATH, agents.message("tools/list"))
    assert refused.status_code == 501
    assert refused.json()["errors"][0].endswith(": pip install 'connect-sim[mcp]'")
    wheels.add_extra(installed.programs, "mcp")
    use = f"print(Agent({running.url!r}, {running.vendor_key!r}).call('status')['version'])"
    source = Path(agents.__file__).read_text()
    assert installed.run("python", "-c", f"{source}\n{use}") == f"{__version__}\n"
    for name, value, status in (("Origin", "http://other.test", 403), ("Host", "other.test", 400)):
        other = replace(running, headers={name: value})
        response = other.call("POST", agents.PATH, agents.message("tools/list"))
        assert response.status_code == status
    assert json.loads(installed.run("connect-sim", "mcp", "claude"))["mcpServers"]


def test_init_writes_a_project(installed: Installed, tmp_path: Path) -> None:
    installed.run("connect-sim", "init", "python", str(tmp_path / "new"))
    sources = {name for name in wheels.files(FOLDER / "python") if not name.endswith(".pyc")}
    assert wheels.files(tmp_path / "new") == sources


def test_documentation_and_skill_are_in_the_wheel(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("connect-sim", "docs", "cli") == (ROOT / "docs" / "cli.md").read_text()
    installed.run("connect-sim", "skill", "install", str(tmp_path))
    [skill] = tmp_path.iterdir()
    copies = wheels.files(skill) - {".connect-sim.json"}
    assert copies == wheels.files(ROOT / "skills" / skill.name)


@pytest.mark.nightly(reason="the sandbox of the same wheel runs beside them each time")
def test_celery_worker_runs_beside_the_modules_of_a_handler(
    installed: Installed, tmp_path: Path
) -> None:
    """Celery puts the current folder at the front of the path."""
    # A sandbox shares its data with no worker.
    own = replace(installed, env={**installed.env, "SIM_DATA_DIR": str(tmp_path)})
    own.run("connect-sim", "manage", "migrate", "-v0")
    worker = own.start("worker", "celery", "-A", "connect_sim", "worker", "-l", "INFO")
    try:

        def ready() -> bool:
            assert worker.popen.poll() is None, worker.printed
            return " ready." in worker.printed

        until(ready, "the worker", timeout=60)
        assert "webhooks.tasks.pump" in worker.printed
        assert worker.stop() == 0, worker.printed
    finally:
        worker.popen.kill()
        worker.popen.wait(10)


def test_bare_import_leaves_the_names_to_the_handler(installed: Installed) -> None:
    code = "import connect_sim\ntry: import webhooks\nexcept ImportError as error: print(error)"
    assert installed.run("python", "-B", "-c", code) == "webhooks of the handler\n"


def test_nothing_is_written_outside_the_data_folder(running: Sandbox, installed: Installed) -> None:
    root = installed.project.parent
    names = {name for name in wheels.files(installed.project) if not name.startswith("var/")}
    expected = {
        f"{name}/__init__.py"
        for name in ("sandbox", "checks", "portal", "extensions", "webhooks", "requests_queue")
    }
    assert names == {".env", *expected}
    assert wheels.files(root / "home") == set()
    assert (installed.project / "var" / "connect.sqlite3").exists()


@pytest.mark.nightly(reason="uvx installs the wheel and its dependencies")
def test_uvx_runs_the_wheel_in_an_empty_folder(tmp_path: Path) -> None:
    """The sandbox ends with the pipe that a parent holds, although uvx is in between."""
    folder, port = tmp_path / "empty", tmp_path / "port"
    folder.mkdir()
    uvx = str(Path(sys.executable).parent / "uvx")
    command = [uvx, "--quiet", "--from", str(wheels.built().wheel), "connect-sim", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--port-file", str(port), "--exit-with-parent"],
        cwd=folder,
        env=environments.calling_loopback(),
        stdin=subprocess.PIPE,
    )
    try:
        until(lambda: port.exists() or process.poll() is not None, "the port file", timeout=240)
        url = f"http://127.0.0.1:{port.read_text().strip()}"
        assert requests.get(f"{url}/sign-in/", timeout=10).status_code == 200
        assert [path.name for path in folder.iterdir()] == ["var"]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)
    finally:
        process.kill()
        process.wait(10)
