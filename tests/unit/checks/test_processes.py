"""Processes of a handler, as Linux shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks import processes
from checks.processes import ProcessTree

GROUP, OTHER = 500, 700


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    return tmp_path


def show(
    proc: Path, pid: int, group: int, state: str = "S", start: int = 1, environ: bytes = b""
) -> None:
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    fields = [state, "1", str(group), *["0"] * 16, str(start), "0"]
    (folder / "stat").write_text(f"{pid} (a ) name) {' '.join(fields)}\n")
    (folder / "environ").write_bytes(environ)


@pytest.mark.parametrize(
    ("group", "environ", "is_running"),
    [
        (GROUP, b"", True),
        (OTHER, b"A=1\0MARK=ours\0", True),
        (OTHER, b"MARK=ours-too\0", False),
        (OTHER, b"", False),
    ],
)
def test_process_belongs_to_its_group_or_has_the_mark(
    proc: Path, group: int, environ: bytes, is_running: bool
) -> None:
    show(proc, 10, group, environ=environ)
    assert ProcessTree(GROUP, "MARK=ours").is_running() is is_running


def test_without_a_group_only_the_mark_counts(proc: Path) -> None:
    tree = ProcessTree(0, "MARK=ours")
    # As the system's own processes.
    show(proc, 10, 0)
    assert not tree.is_running()
    show(proc, 11, OTHER, environ=b"MARK=ours\0")
    assert tree.is_running()


@pytest.mark.parametrize("group", [GROUP, OTHER])
def test_process_runs_until_it_is_a_zombie(proc: Path, group: int) -> None:
    tree = ProcessTree(GROUP, "MARK=ours")
    show(proc, 10, group, environ=b"MARK=ours\0")
    assert tree.is_running()
    # It is ending: it has no memory any more, but its files may be open.
    show(proc, 10, group, state="R")
    assert tree.is_running()
    show(proc, 10, group, state="Z")
    assert not tree.is_running()


def test_another_process_gets_the_id(proc: Path) -> None:
    tree = ProcessTree(GROUP, "MARK=ours")
    show(proc, 10, OTHER, environ=b"MARK=ours\0")
    assert tree.is_running()
    show(proc, 10, OTHER, start=2)
    assert not tree.is_running()
