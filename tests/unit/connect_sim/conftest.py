"""Fixtures of the tests of the program: an empty current folder, and a sandbox that records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.connect_sim.recording_server import Server, serving, write


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another current folder, and an environment without settings."""
    for name in ("SIM_DATA_DIR", "SIM_PROFILE", "SIM_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving() as server:
        write(tmp_path / "var", server.url)
        yield server
