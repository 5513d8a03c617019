"""The Dockerfiles, the compose files, and the variables of .env.example."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from connect_sim import SERVER_PACKAGES
from requests_queue import alternatives
from requests_queue.catalog import keys
from tests import image
from tests.processes import ROOT, output, run

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ENV_EXAMPLE = (ROOT / ".env.example").read_text()


def test_compose_file_has_all_services() -> None:
    assert set(COMPOSE["services"]) == {"migrate", "web", "worker", "beat", "redis", "postgres"}
    command = COMPOSE["services"]["worker"]["command"]
    assert command == ["python", "manage.py", "worker"]


def test_processes_share_image_and_profile() -> None:
    services = [COMPOSE["services"][name] for name in ("migrate", "web", "worker", "beat")]
    assert all(service["build"] == {"context": ".", "target": "server"} for service in services)
    assert all(service["environment"]["SIM_PROFILE"] == "server" for service in services)


def test_env_example_has_every_variable_of_the_settings() -> None:
    settings = (ROOT / "connect_sim" / "settings.py").read_text()
    read = set(re.findall(r'(?:env|secret_key)\(\s*"([A-Z_]+)"', settings))
    read |= set(alternatives.SETTINGS.values())
    named = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.M))
    assert len(read) > 20
    assert read == named


STAGES = image.stages()
REQUIRED = dict.fromkeys(
    ("SIM_API_URL", "SIM_SECRET_KEY", "SIM_ENCRYPTION_KEY", "POSTGRES_PASSWORD"), "given"
)


def compose() -> list[str]:
    """Return the command of Docker Compose 2, which checks files without an engine."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            shown = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            if shown.returncode == 0 and shown.stdout.lstrip("v").startswith("2"):
                return command
    pytest.skip("Docker Compose 2 is not installed: the compose files were not checked by it")


def configured(file: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Let Docker Compose print a compose file as it understands it."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return run([*compose(), "-f", file, "config", *options], env)


def resolved(file: str, **variables: str) -> dict[str, Any]:
    """Return a compose file as Docker Compose understands it."""
    done = configured(file, "--format", "json", **variables)
    assert done.returncode == 0, done.stderr
    # Deprecated or ignored keys are warnings.
    assert "level=warning" not in done.stderr, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


def test_compose_accepts_the_files_of_sandbox_and_server() -> None:
    server = resolved("docker-compose.yml", **REQUIRED)
    for name in ("web", "worker", "beat"):
        assert server[name]["build"]["target"] in STAGES
    # The image's health check is the web server's.
    assert "healthcheck" not in server["web"]
    assert server["migrate"]["healthcheck"]["disable"]
    for name in ("worker", "beat"):
        assert server[name]["healthcheck"]["test"][1:] == [
            "python",
            "-m",
            "connect_sim.probe",
            name,
        ]
    sandbox = resolved("compose.sandbox.yml", SIM_PORT="9090")["sandbox"]
    assert sandbox["build"]["target"] in STAGES
    assert sandbox["environment"]["SIM_PUBLIC_URL"] == "http://localhost:9090"
    [port] = sandbox["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "9090", 8000)


def test_workers_of_the_compose_file_can_be_scaled() -> None:
    server = resolved("docker-compose.yml", **REQUIRED)
    worker = server["worker"]
    assert not {"container_name", "hostname", "ports", "volumes"} & worker.keys()
    for name in ("web", "worker", "beat"):
        # Tables exist before any of them starts; the database is there again after a restart.
        assert {on: each["condition"] for on, each in server[name]["depends_on"].items()} == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }, name
        assert server[name]["restart"] == "unless-stopped"
    assert server["migrate"]["restart"] == "on-failure"
    assert "migrate" not in server["migrate"]["depends_on"]
    # Only the web server is published, and only on loopback.
    assert {name for name, each in server.items() if "ports" in each} == {"web"}
    assert {port["host_ip"] for port in server["web"]["ports"]} == {"127.0.0.1"}


@pytest.mark.parametrize("missing", REQUIRED)
def test_compose_file_has_no_default_secret(missing: str) -> None:
    given = {name: value for name, value in REQUIRED.items() if name != missing}
    done = configured("docker-compose.yml", **given)
    assert done.returncode != 0 and missing in done.stderr


def test_sandbox_and_handler_of_the_compose_file_have_the_same_key() -> None:
    services = resolved("compose.sandbox.yml", SIM_VENDOR_API_KEY="SU-100-200-300:of-my-own")
    assert services["sandbox"]["environment"]["SIM_VENDOR_API_KEY"] == "SU-100-200-300:of-my-own"
    given = services["handler"]["environment"]["CONNECT_API_KEY"]
    assert given == "ApiKey SU-100-200-300:of-my-own"
    # The port is on loopback only, so the keys of the file may be known.
    plain = resolved("compose.sandbox.yml")["sandbox"]
    assert {port["host_ip"] for port in plain["ports"]} == {"127.0.0.1"}
    for party in ("VENDOR", "PROVIDER"):
        keys.parse(plain["environment"][f"SIM_{party}_API_KEY"])


@pytest.mark.parametrize("file", ["Dockerfile", "examples/python_handler/Dockerfile"])
def test_dockerfile_has_no_lint(file: str) -> None:
    output([str(Path(sys.executable).parent / "hadolint"), str(ROOT / file)], dict(os.environ))


def test_sandbox_is_the_default_target() -> None:
    assert list(STAGES) == ["base", "server", "sandbox"]
    assert STAGES["sandbox"].variables.get("SIM_PROFILE", "sandbox") == "sandbox"
    assert STAGES["server"].variables["SIM_PROFILE"] == "server"


@pytest.mark.parametrize("name", ["server", "sandbox"])
def test_target_has_packages_health_check_and_a_user_without_rights(name: str) -> None:
    stage = STAGES[name]
    copied = {source for source, _ in stage.copies}
    assert copied >= {"connect_sim", *SERVER_PACKAGES}
    assert stage.probe and stage.command
    # By number, so that Kubernetes can tell that it is not root.
    assert int(stage.user.partition(":")[0]) > 0
    named = {*re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.M)}
    assert named >= {each for each in stage.variables if each.startswith("SIM_")}


@pytest.mark.parametrize(
    "path",
    [".env", ".git/config", ".venv/bin/python", "var/sandbox.json", "tests/image.py", "README.md",
     "connect_sim/.env", "connect_sim/__pycache__/web.cpython-313.pyc", "portal/x/y.sqlite3",
     "requests_queue/a/b/__pycache__/c.pyc", "connect_sim2/x", "examples/python_handler/x.py"],
)  # fmt: skip
def test_file_is_not_sent_to_the_build(path: str) -> None:
    assert not image.is_in_context(path)


def test_files_of_the_packages_are_sent_to_the_build() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    packages = ("connect_sim/", "requests_queue/", "webhooks/", "portal/", "checks/", "sandbox/")
    names = [name for name in listed.stdout.splitlines() if name.startswith(packages)]
    assert len(names) > 400
    assert [name for name in names if not image.is_in_context(name)] == []
