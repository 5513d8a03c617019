"""SIM_PROFILE=server has no sandbox: no route, no command, no table, no middleware, no task."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern

from sandbox import urls
from tests import processes
from tests.marks import nightly
from tests.processes import ROOT, environment, manage
from tests.runtime.test_settings import SERVER

SCRIPT = """
import json, sys
import django
django.setup()
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands
from django.test import Client
from connect_sim import asgi, celery, wsgi
client = Client(headers={"Host": "127.0.0.1", "Authorization": "ApiKey SU-000-000-000:x"})
responses = []
for method, path in json.load(sys.stdin):
    response = client.generic(method, path, "{}", "application/json", secure=True)
    headers = {k: v for k, v in response.headers.items() if k != "Content-Length"}
    responses.append([response.status_code, response.content.decode().replace(path, ""), headers])
celery.app.loader.import_default_modules()
print(json.dumps({
    "responses": responses,
    "modules": [n for n in sys.modules if n.partition(".")[0] == "sandbox"],
    "tables": [m._meta.db_table for m in apps.get_models() if "sandbox" in m._meta.db_table],
    "middleware": [n for n in settings.MIDDLEWARE if "sandbox" in n],
    "tasks": [n for n in celery.app.tasks if "sandbox" in n],
    "schedule": [n["task"] for n in settings.CELERY_BEAT_SCHEDULE.values() if "sandbox" in n["task"]],
    "commands": [n for n, app in get_commands().items() if app == "sandbox"],
    "asgi": [n for n in [*asgi.registered_routes(), *map(str, asgi.registered("asgi_lifespan"))]
             if "sandbox" in n],
}))
"""  # fmt: skip  # noqa: E501
API = "/public/v1/requests"
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")


def paths() -> list[str]:
    """Return a path for each route of the sandbox, and for each of its pages."""
    return [
        *(f"/sandbox/{route}" for route in _routes(urls.api_urlpatterns)),
        *(f"/{route}" for route in _routes(urls.page_urlpatterns)),
    ]


def _routes(patterns: list[Any]) -> list[str]:
    assert len(patterns) > 4 and all(isinstance(each, URLPattern) for each in patterns)
    return [re.sub(r"<\w+:\w+>", "1", str(each.pattern)) for each in patterns]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process with the server profile returns for each route, and what it has loaded."""
    requests = [
        (method, path)
        for path in ("/nowhere/1", API, "/sandbox", "/sandbox/", *paths())
        for method in METHODS
    ]
    env = environment(tmp_path_factory.mktemp("data"), **SERVER)
    env["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
    printed = processes.output([sys.executable, "-c", SCRIPT], env, sent=json.dumps(requests))
    result: dict[str, Any] = json.loads(printed)
    result["responses"] = dict(zip(requests, result["responses"], strict=True))
    return result


def test_route_is_an_unknown_path(server: dict[str, Any]) -> None:
    for method in METHODS:
        unknown = server["responses"][method, "/nowhere/1"]
        assert unknown[0] == 404
        for path in ("/sandbox", "/sandbox/", *paths()):
            assert server["responses"][method, path] == unknown, path


def test_host_is_not_bound_to_https(server: dict[str, Any]) -> None:
    for _, _, headers in server["responses"].values():
        assert "Strict-Transport-Security" not in headers


def test_nothing_of_the_sandbox_is_loaded(server: dict[str, Any]) -> None:
    """Not for an error of the API, either."""
    error = json.loads(server["responses"]["GET", API][1])
    assert error == {"error_code": "AUTH_001", "errors": ["API request is unauthorized."]}
    parts = ("modules", "tables", "middleware", "tasks", "schedule", "commands", "asgi")
    assert {part: server[part] for part in parts} == {part: [] for part in parts}


# Longer than Django warns about; docs/server.md has the command that creates one.
LONG_KEY = {"SIM_SECRET_KEY": "0123456789-abcdefgh-" * 3}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        nightly(LONG_KEY, [], reason="as with a proxy that redirects"),
        # The proxy redirects.
        ({**LONG_KEY, "SIM_SSL_REDIRECT": "false", "SIM_TRUSTED_PROXY": ""}, []),
        nightly({**LONG_KEY, "SIM_HSTS_SECONDS": "3600"}, [], reason="as with the default"),
        # Shorter keys are accepted, with Django's warning.
        nightly(
            {"SIM_SECRET_KEY": "0123456789-abcdefgh-0123456789-abc"},
            ["security.W009"],
            reason="a warning of Django's",
        ),
    ],
)
def test_check_of_a_deployment_is_clean(
    tmp_path: Path, variables: dict[str, str], expected: list[str]
) -> None:
    env = environment(tmp_path, **{**SERVER, **variables})
    done = processes.run(manage("check", "--deploy", "--fail-level", "WARNING"), env)
    assert re.findall(r"\((\w+\.\w+)\)", done.stderr) == expected, done.stderr
    assert done.returncode == (1 if expected else 0)


PROGRAM = [sys.executable, "-m", "connect_sim"]


@pytest.mark.parametrize(
    "command",
    [manage("sandbox"), [*PROGRAM, "reset"],
     *(nightly(command, reason="refused by the same line") for command in (
         manage("clock", "show"), manage("listen"), manage("queue", "add", "x"), PROGRAM,
         [*PROGRAM, "sandbox"], [*PROGRAM, "listen"]))],
    ids=["manage sandbox", "reset", "manage clock", "manage listen", "manage queue", "program",
         "sandbox", "listen"],
)  # fmt: skip
def test_command_refuses_in_one_line(tmp_path: Path, command: list[str]) -> None:
    """The other commands of the program: tests/unit/connect_sim/test_cli.py."""
    done = subprocess.run(
        command,
        env=environment(tmp_path, **SERVER),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "SIM_PROFILE" in line
    assert list(tmp_path.iterdir()) == []


def test_profile_of_the_env_file_refuses_too(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SIM_PROFILE=server\n")
    env = environment(tmp_path, SIM_ENV_FILE=str(tmp_path / "env"))
    done = subprocess.run([*PROGRAM, "clock", "show"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "SIM_PROFILE is server" in done.stderr
