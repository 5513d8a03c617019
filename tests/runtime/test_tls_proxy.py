"""The team server of docker-compose.yml behind a TLS proxy, as shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.processes import Process, environment, free_port, manage, output
from tests.runtime.distributed import COMPOSE, SECRETS, VENDOR_KEY, command, seeded_database
from tests.runtime.nginx import Proxy, nginx
from tests.runtime.serving import serving
from tests.runtime.test_http import echo

_PREPARE = """
import os
from requests_queue.catalog.models import User
User.objects.create_superuser("root", uid="UR-900-000-001", password=os.environ["PASSWORD"])
"""
PASSWORD = "a-passphrase-of-the-test-1"


def composed(service: str, variables: dict[str, str]) -> dict[str, str]:
    """Return a service's environment with `${NAME:-default}` and `${NAME:?…}` replaced."""

    def fill(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if name in variables:
            return variables[name]
        assert kind == ":-", f"docker-compose.yml needs {name}"
        return str(rest)

    environ = COMPOSE["services"][service]["environment"]
    return {name: re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", fill, str(v)) for name, v in environ.items()}


@dataclass
class Team:
    """The web process and the proxy in front of it."""

    proxy: Proxy
    key: str
    port: int

    def session(self) -> requests.Session:
        session = requests.Session()
        session.verify = str(self.proxy.certificate)
        # REQUESTS_CA_BUNDLE would take precedence.
        session.trust_env = False
        return session


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    port, https = free_port(), free_port()
    with seeded_database() as database:
        env = environment(
            folder,
            **composed(
                "web",
                {
                    "SIM_API_URL": f"https://localhost:{https}",
                    **SECRETS,
                    "POSTGRES_PASSWORD": "unused",
                },
            ),
        )
        # The addresses of Docker's network.
        env |= {
            "DATABASE_URL": database,
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
            "SIM_BIND": f"127.0.0.1:{port}",
        }
        output(manage("shell", "-v0", "-c", _PREPARE), {**env, "PASSWORD": PASSWORD})
        process = Process(command("web"), env, folder / "web.log").start()
        try:
            process.wait_to_listen(port)
            with nginx(folder, port, https) as proxy:
                yield Team(proxy, VENDOR_KEY, port)
        finally:
            process.stop()


pytestmark = pytest.mark.postgres


def test_http_redirects_once_and_https_does_not(team: Team) -> None:
    session = team.session()
    response = session.get(f"{team.proxy.http}/sign-in/", allow_redirects=False, timeout=10)
    assert (response.status_code, response.headers["location"]) == (
        301,
        f"{team.proxy.https}/sign-in/",
    )
    response = session.get(f"{team.proxy.http}/sign-in/", timeout=10)
    assert (response.status_code, len(response.history)) == (200, 1)
    # Only by SIM_HSTS_SECONDS.
    assert "strict-transport-security" not in response.headers
    response = session.get(f"{team.proxy.https}/sign-in/", allow_redirects=False, timeout=10)
    assert response.status_code == 200


def test_sign_in_sets_secure_cookies(team: Team) -> None:
    session = team.session()
    page = session.get(f"{team.proxy.https}/sign-in/", timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None
    form = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    response = session.post(
        f"{team.proxy.https}/sign-in/",
        form,
        allow_redirects=False,
        timeout=10,
        headers={"Origin": team.proxy.https, "Referer": f"{team.proxy.https}/sign-in/"},
    )
    assert response.status_code in (302, 303), response.text
    assert {cookie.name.partition("-")[0]: cookie.secure for cookie in session.cookies} == {
        "csrftoken": True,
        "sessionid": True,
    }
    # The session is valid: no redirect to the sign-in.
    page = session.get(f"{team.proxy.https}/", allow_redirects=False, timeout=10)
    assert page.status_code == 200
    forged = session.post(
        f"{team.proxy.https}/sign-in/",
        form,
        allow_redirects=False,
        timeout=10,
        headers={"Origin": "https://elsewhere.example"},
    )
    assert forged.status_code == 403


def test_api_responds_behind_the_proxy(team: Team) -> None:
    session = team.session()
    session.headers["Authorization"] = f"ApiKey {team.key}"
    response = session.get(f"{team.proxy.https}/public/v1/requests?limit=1", timeout=10)
    assert response.status_code == 200 and len(response.json()) == 1
    response = session.post(
        f"{team.proxy.https}/public/v1/requests", data=iter([b"{", b"}"]), timeout=10
    )
    assert response.status_code in (400, 403) and response.json()["errors"]


def test_forged_headers_are_ignored_behind_the_proxy(settings: Any, tmp_path: Path) -> None:
    settings.SIM_TRUSTED_PROXY = (
        COMPOSE["services"]["web"]["environment"]["SIM_TRUSTED_PROXY"]
        .rpartition(":-")[2]
        .rstrip("}")
    )
    forged_headers = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "http",
        "X_Forwarded_For": "1.2.3.4",
        "Forwarded": "for=203.0.113.7;proto=http",
    }
    with serving(echo, settings) as url, nginx(tmp_path, int(url.rpartition(":")[2])) as proxy:
        verify = str(proxy.certificate)
        environ = requests.get(
            proxy.https, headers=forged_headers, verify=verify, timeout=10
        ).json()
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "https")
    assert not any("FORWARDED" in name for name in environ)
