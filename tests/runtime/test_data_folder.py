"""The data folder is private to its owner: 0700 and 0600, also if it existed before."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from checks import sandbox_file
from connect_sim import data_folder


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
    data_folder.key(folder / "secret_key")
    data_folder.prepare(folder, database)
    data_folder.create_database(database)
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
    data_folder.create_database(folder / "connect.sqlite3")
    # Our own files are private all the same.
    assert mode(folder / "connect.sqlite3") == 0o600
    assert shared == "other files" or mode(folder / "secret_key") == 0o600


def test_unusable_path_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "var", tmp_path / "file"):
        with pytest.raises(ImproperlyConfigured) as raised:
            data_folder.prepare(path, path / "connect.sqlite3")
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)


# -- keys that another user may have written


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The secret key in a data folder, private to its owner."""
    folder = tmp_path / "var"
    data_folder.key(folder / "secret_key")
    return folder / "secret_key"


def refused(key: Path, reason: str) -> None:
    """Check that a key is refused, in one line without its content."""
    content = key.read_text()
    with pytest.raises(ImproperlyConfigured, match=reason) as raised:
        data_folder.key(key)
    assert str(key) in str(raised.value) and "\n" not in str(raised.value)
    assert content not in str(raised.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o644])
def test_key_that_only_its_owner_may_write_is_read(key: Path, mode: int) -> None:
    key.chmod(mode)
    created = key.read_text()
    assert len(created) >= 50 and data_folder.key(key) == key.read_text() == created


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
@pytest.mark.parametrize("name", ["secret_key", "encryption_key"])
def test_key_that_others_may_write_is_refused(key: Path, name: str, mode: int) -> None:
    key = key.rename(key.with_name(name))
    key.chmod(mode)
    refused(key, f"chmod 600 {key}")
    # It is still there to be looked at.
    assert stat.S_IMODE(key.stat().st_mode) == mode


def test_key_of_another_user_is_refused(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(key, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    refused(key, "belongs to another user")


def test_symbolic_link_as_a_key_is_refused(key: Path, tmp_path: Path) -> None:
    key.rename(tmp_path / "elsewhere")
    key.symlink_to(tmp_path / "elsewhere")
    refused(key, "symbolic link")


def test_pipe_as_a_key_does_not_block(key: Path) -> None:
    key.unlink()
    os.mkfifo(key, 0o600)
    with pytest.raises(ImproperlyConfigured, match="it is empty"):
        data_folder.key(key)


def test_key_that_others_may_replace_is_refused(key: Path) -> None:
    """The folder is shared: its permissions are not ours to change."""
    folder = key.parent.rename(key.parent.with_name("shared"))
    folder.chmod(0o777)
    (folder / "theirs").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        refused(folder / "secret_key", rf"chmod \+t {folder}")
        folder.chmod(0o1777)
        assert data_folder.key(folder / "secret_key") == (folder / "secret_key").read_text()


def test_data_folder_of_our_own_becomes_private_before_a_key_is_read(key: Path) -> None:
    key.parent.chmod(0o777)
    assert data_folder.key(key) == key.read_text()
    assert mode(key.parent) == 0o700


def test_partial_key_is_removed_if_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImproperlyConfigured, match="No space left on device"):
        data_folder.key(tmp_path / "var" / "secret_key")
    assert list((tmp_path / "var").iterdir()) == []
