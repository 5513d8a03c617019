"""Sandboxes in temporary folders: whatever this machine is set to, and nothing left of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.client import Client
from checks.guard import Guard
from checks.throwaway import CannotStart, Throwaway


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary folders, and settings of another project."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, value in {
        "SIM_PROFILE": "server",
        "SIM_DATA_DIR": "/none",
        "SIM_BIND": "192.0.2.1:1",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "DJANGO_SETTINGS_MODULE": "none",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_sandbox_serves_and_leaves_nothing(folder: Path) -> None:
    with Guard() as guard, Throwaway(guard) as throwaway:
        sandbox = throwaway.start()
        for key in (sandbox.vendor_api_key, sandbox.provider_api_key):
            assert Client(sandbox.address, key).call("GET", "/sandbox/clock")["settled"]
            assert key not in throwaway.log()
        assert "Connect Sim is running at" in throwaway.log()
        assert throwaway.is_alive and list(folder.iterdir())
    assert not throwaway.is_alive and not list(folder.iterdir())


def test_sandbox_that_does_not_start_says_why(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "django.py").write_text("raise ImportError('of the project')")
    monkeypatch.setenv("PYTHONPATH", str(modules))
    with Guard() as guard, Throwaway(guard) as throwaway:
        with pytest.raises(CannotStart, match=r"^The sandbox ended while it started\.$"):
            throwaway.start()
        assert "of the project" in throwaway.log()
    assert not list(folder.iterdir())
