"""The four ways to a sandbox, in order."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_connect_sim import __version__, finding, server
from pytest_connect_sim.server import SandboxError


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "is_importable", lambda: False)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "is_importable", lambda: True)


def test_url_wins_over_a_command() -> None:
    way = finding.find(" http://127.0.0.1:8000 ", "connect-sim sandbox", uvx=True)
    assert way == finding.Way(url="http://127.0.0.1:8000")


def test_command_wins_over_an_installed_package(installed: None) -> None:
    way = finding.find("", "'/a folder/connect-sim' sandbox", uvx=True)
    assert way.command == ["/a folder/connect-sim", "sandbox"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the server needs Python 3.11")
def test_installed_package_is_run_without_the_current_folder_on_the_path(installed: None) -> None:
    way = finding.find("", "", uvx=True)
    assert way.command == [sys.executable, "-P", "-m", "connect_sim", "sandbox"]


@pytest.mark.usefixtures("not_installed")
def test_uvx_runs_the_version_of_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "uvx"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    way = finding.find("", "", uvx=True)
    assert way.command == [
        str(program),
        "--from",
        f"connect-sim=={__version__}",
        "connect-sim",
        "sandbox",
    ]
    program.unlink()
    with pytest.raises(SandboxError, match="no uvx on the path"):
        finding.find("", "", uvx=True)


@pytest.mark.usefixtures("not_installed")
def test_error_names_the_four_ways() -> None:
    with pytest.raises(SandboxError) as error:
        finding.find("", "", uvx=False)
    for way in ("CONNECT_SIM_URL", "--connect-sim-command", "[server]", "connect_sim_uvx = true"):
        assert way in str(error.value)


def test_folder_of_the_project_is_not_taken_for_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "connect_sim").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert not finding.is_importable()
    (tmp_path / "connect_sim" / "__main__.py").touch()
    assert finding.is_importable()


def test_keys_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECT_SIM_VENDOR_KEY", "SU-1:v")
    monkeypatch.setenv("CONNECT_SIM_PROVIDER_KEY", "SU-2:p")
    found = server.configured("http://127.0.0.1:8000/public/v1/")
    assert (found.url, found.vendor_key, found.provider_key) == (
        "http://127.0.0.1:8000",
        "SU-1:v",
        "SU-2:p",
    )
    assert found.api_url == "http://127.0.0.1:8000/public/v1"
    assert found.is_shared
    assert "SU-" not in repr(found) and "SU-" not in repr(found.client())


def test_keys_are_those_of_sandbox_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_DATA_DIR", str(tmp_path))
    path = tmp_path / "sandbox.json"
    path.write_text('{"url": "u", "vendor_api_key": "SU-1:v", "provider_api_key": "SU-2:p"}')
    assert server.configured("http://host:1").vendor_key == "SU-1:v"
    for content in ("{}", "nothing", '{"url": "u", "vendor_api_key": 5, "provider_api_key": "p"}'):
        path.write_text(content)
        with pytest.raises(SandboxError, match="CONNECT_SIM_VENDOR_KEY"):
            server.configured("http://host:1")
    path.unlink()
    with pytest.raises(SandboxError, match="FileNotFoundError"):
        server.configured("http://host:1")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "http://", "ftp://a", "http://a/b", "http://a b", ""]
)
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SandboxError, match="not the URL of a sandbox"):
        server.configured(url)


def test_output_of_a_sandbox_is_shown_without_secrets() -> None:
    text = "Vendor ApiKey SU-994-042-299:103565ae\nhttp://h/sign-in/UR-1/abc-def  (once)\nPR-1 ok"
    assert server.without_secrets(text) == (
        "Vendor ApiKey (hidden)\nhttp://h(hidden)  (once)\nPR-1 ok"
    )
