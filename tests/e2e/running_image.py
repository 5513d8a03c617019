"""The image's command as a process, in a folder of only what the Dockerfile copies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests import image, workflows
from tests.image import Container
from tests.processes import ROOT, Process, Sandbox, free_port
from tests.webhooks.certificates import Authority

# Another port than that of the process, as `docker run -p` publishes it.
PUBLISHED = "http://localhost:9090"
SECRET = "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10"
COMPOSE = yaml.safe_load((ROOT / "compose.sandbox.yml").read_text())
# In place of `docker`: runs the command of `docker exec` and `docker compose exec` in our folder.
DOCKER = """#!{python}
import json, os, re, subprocess, sys
words = sys.argv[1:]
if words[:3] == ["compose", "-f", "compose.sandbox.yml"]:
    words = words[3:]
assert words.pop(0) == "exec", "only exec can be run here"
while words[0].startswith("-"):
    words.pop(0)
assert words.pop(0) in ("connect-sim", "sandbox"), "an unknown container"
os.chdir({folder!r})
command = [word.replace("/data/", {data!r} + "/") for word in words]
env = json.loads({env!r})
os.environ["PATH"] = env["PATH"]
os.execvpe(command[0], command, env)
"""


@dataclass
class Running:
    """The process of the image, its folder, and a client of its API."""

    container: Container
    sandbox: Sandbox
    authority: Authority
    # The files of the image before the start.
    files: set[Path]

    def program(self, *arguments: str) -> str:
        """Run `connect-sim` in the container, and return what it prints."""
        return run(self.container, "connect-sim", *arguments).stdout

    def webhook(self, **values: Any) -> str:
        body = {
            "label": "Test",
            "product_id": "PRD-814-505-018",
            "jwt_secret": SECRET,
            "object_class": "fulfillment_request",
            **values,
        }
        created = self.sandbox.as_vendor("POST", "/notifications/webhooks", body)
        return str(created["id"])

    def order(self, product: str = "PRD-814-505-018", **values: Any) -> str:
        body = {"queue": "fulfillment", "product": product, **values}
        return str(self.post("/sandbox/queue/samples", body).json()["id"])

    def wait(self, until: Any, **values: Any) -> str:
        """Wait for a condition, and return the response as text."""
        return self.post("/sandbox/wait", {"until": until, "timeout": 30, **values}).text

    def post(self, path: str, body: Any) -> requests.Response:
        response = self.sandbox.call("POST", path, body)
        assert response.ok, response.text
        return response

    def delete(self, webhook: str) -> None:
        self.sandbox.call("DELETE", f"/public/v1/notifications/webhooks/{webhook}")


def run(container: Container, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        container.resolve([*command]),
        cwd=container.folder,
        env=container.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def key(party: str) -> str:
    """Return the key that compose.sandbox.yml gives."""
    value = COMPOSE["services"]["sandbox"]["environment"][f"SIM_{party}_API_KEY"]
    return str(value.partition(":-")[2].removesuffix("}"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The default target's command, with a port of its own and the options of the page."""
    certificates, root = tmp_path_factory.mktemp("ca"), tmp_path_factory.mktemp("image")
    authority, port = Authority(certificates), free_port()
    *_, stage = image.stages().values()
    container = image.build(
        stage,
        root,
        SIM_BIND=f"0.0.0.0:{port}",
        SIM_PUBLIC_URL=PUBLISHED,
        SIM_CA_FILE=str(authority.pem),
        SIM_VENDOR_API_KEY=key("VENDOR"),
        SIM_PROVIDER_API_KEY=key("PROVIDER"),
    )
    files = {path for path in root.rglob("*") if path.is_file()}
    command = container.resolve([*stage.entry, *stage.command])
    process = Process(command, container.env, certificates / "log", container.folder).start()
    url = f"http://127.0.0.1:{port}"
    started = Sandbox(
        url,
        container.data_dir,
        process,
        key("VENDOR"),
        key("PROVIDER"),
        headers={"X-Sandbox-Actor": "test"},
    )
    try:
        process.wait_to_listen(port)
        ready = requests.get(f"{url}/readyz?wait=60", timeout=70)
        assert ready.json() == {"ready": True, "missing": []}
        yield Running(container, started, authority, files)
    finally:
        assert process.stop() == 0, process.printed


def write_docker(folder: Path, container: Container) -> None:
    """Write a program `docker` that runs the commands of `exec` in the container."""
    script = DOCKER.format(
        python=sys.executable,
        folder=str(container.folder),
        data=str(container.data_dir),
        env=json.dumps(container.env),
    )
    workflows.write_programs(folder, {"docker": script})
