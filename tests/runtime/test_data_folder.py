"""The data folder is private to its owner: 0700 and 0600, also if it existed before."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from connect_sim import data_folder, secret_keys
from connect_sim.environment import Environment
from sandbox import sandbox_file


@pytest.fixture(autouse=True)
def lax() -> Iterator[None]:
    """Set a umask that removes no permission."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_everything_that_is_created_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    database = folder / "connect.sqlite3"
    secret_keys.read(Environment(), "SIM_SECRET_KEY", folder, is_server=False)
    data_folder.prepare(folder, database)
    sandbox_file.write(folder, sandbox_file.Sandbox("http://x", "a", "b"))
    line = sqlite3.connect(database)
    line.execute("PRAGMA journal_mode=WAL")
    line.execute("CREATE TABLE t (a)")
    line.commit()
    modes = {path.name: mode(path) for path in folder.iterdir()}
    line.close()
    assert {"connect.sqlite3-wal", "connect.sqlite3-shm", "secret_key"} <= modes.keys()
    assert set(modes.values()) == {0o600} and mode(folder) == 0o700


def test_existing_files_become_private(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir(mode=0o755)
    names = ("secret_key", "connect.sqlite3", "connect.sqlite3-wal", "sandbox.json", "sandbox.log")
    for name in names:
        (folder / name).touch(mode=0o666)
    data_folder.prepare(folder, folder / "connect.sqlite3")
    assert {mode(folder / name) for name in names} == {0o600}
    assert mode(folder) == 0o700


def test_symbolic_link_to_another_folder_is_not_changed(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "secret_key").touch()
    (tmp_path / "other").touch(mode=0o644)
    (folder / "link").symlink_to(tmp_path / "other")
    data_folder.prepare(folder, folder / "connect.sqlite3")
    assert mode(tmp_path / "other") == 0o644


@pytest.mark.parametrize("shared", ["sticky", "home", "current", "other files"])
def test_shared_folder_keeps_its_permissions(
    tmp_path: Path, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "theirs").touch(mode=0o644)
    if shared != "other files":
        (folder / "secret_key").touch(mode=0o644)
    folder.chmod(0o1777 if shared == "sticky" else 0o755)
    if shared == "home":
        monkeypatch.setenv("HOME", str(folder))
    if shared == "current":
        monkeypatch.chdir(folder)
    before = mode(folder)
    data_folder.prepare(folder, folder / "connect.sqlite3")
    assert (mode(folder), mode(folder / "theirs")) == (before, 0o644)
    # Our own files are private all the same.
    assert mode(folder / "connect.sqlite3") == 0o600
    assert shared == "other files" or mode(folder / "secret_key") == 0o600


def test_unusable_path_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "var", tmp_path / "file"):
        with pytest.raises(ImproperlyConfigured) as raised:
            data_folder.prepare(path, path / "connect.sqlite3")
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_partial_key_is_removed_if_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImproperlyConfigured, match="No space left on device"):
        secret_keys.read(Environment(), "SIM_SECRET_KEY", tmp_path / "var", is_server=False)
    assert list((tmp_path / "var").iterdir()) == []
