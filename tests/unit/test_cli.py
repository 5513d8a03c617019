"""Settings that can't work are one line, not a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT, environment, manage

SERVER = {
    "SIM_PROFILE": "server",
    "SIM_TRUSTED_PROXY": "127.0.0.1",
    "SIM_SECRET_KEY": "a-secret-that-is-long-enough-for-django-0123456789-abcdefgh",
    "SIM_ENCRYPTION_KEY": "another",
    "DATABASE_URL": "postgres://user@localhost/name",
    "CELERY_BROKER_URL": "redis://localhost:6379/0",
}


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        manage(*arguments), env=environment(folder, **variables), cwd=ROOT, capture_output=True,
        text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SIM_PROFILE": "prod"}, "SIM_PROFILE is 'sandbox' or 'server'"),
        ({"SIM_BIND": "8000"}, "SIM_BIND is host:port"),
        ({**SERVER, "SIM_SECRET_KEY": ""}, "SIM_SECRET_KEY is not set"),
        ({**SERVER, "SIM_ENCRYPTION_KEY": ""}, "SIM_ENCRYPTION_KEY is not set"),
    ],
)
def test_a_setting_that_cannot_work(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    found = run(tmp_path, "check", **variables)
    assert found.returncode == 1
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SIM_EVENT_MODE": "some"}, "SIM_EVENT_MODE is one of each, coalesce"),
        ({"SIM_RETRY_BASE": "0"}, "SIM_RETRY_BASE is greater than 0"),
        ({"SIM_RETRY_FACTOR": "0.5"}, "SIM_RETRY_FACTOR is 1 or more"),
        ({"SIM_ALLOW_NETWORKS": "everything"}, "SIM_ALLOW_NETWORKS"),
        ({"SIM_TRUSTED_PROXY": "proxy.example"}, "SIM_TRUSTED_PROXY holds 'proxy.example'"),
        ({"SIM_HEAD_TIMEOUT": "0"}, "SIM_HEAD_TIMEOUT is greater than 0"),
        ({**SERVER, "SIM_TRUSTED_PROXY": ""}, "no proxy is trusted"),
        ({**SERVER, "CELERY_BROKER_URL": "memory://"}, "The broker memory:// lives in one process"),
    ],
)
def test_checks_refuse_what_cannot_work(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    found = run(tmp_path, "check", **variables)
    assert found.returncode == 1
    assert said in found.stderr


def test_the_server_profile_is_clean_for_deployment(tmp_path: Path) -> None:
    found = run(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **SERVER)
    assert found.returncode == 0, found.stderr


def test_the_server_profile_has_no_sandbox_commands(tmp_path: Path) -> None:
    for name in ("clock", "listen"):
        assert "Unknown command" in run(tmp_path, name, **SERVER).stderr


def test_keys_of_a_sandbox_are_made_once_and_are_private(tmp_path: Path) -> None:
    run(tmp_path, "check")
    first = {name: (tmp_path / name).read_text() for name in ("secret_key", "encryption_key")}
    run(tmp_path, "check")
    assert first == {name: (tmp_path / name).read_text() for name in first}
    assert all(len(key) >= 50 for key in first.values())
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o600 for name in first)


@pytest.mark.parametrize("profile", ["sandbox", "server"])
def test_a_server_has_nothing_of_the_sandbox(tmp_path: Path, profile: str) -> None:
    code = (
        "from django.apps import apps; from django.urls import get_resolver; "
        "print(apps.is_installed('sandbox'), "
        "any('sandbox' in str(each.pattern) for each in get_resolver().url_patterns))"
    )
    found = run(tmp_path, "shell", "--no-imports", "-c", code, **{**SERVER, "SIM_PROFILE": profile})
    assert found.stdout.split() == [str(profile == "sandbox")] * 2, found.stderr
