"""`connect-sim exec`: what it refuses before it starts a sandbox, and signals at its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from checks.guard import Guard
from checks.throwaway import Throwaway
from connect_sim.cli import exec as exec_command
from connect_sim.cli import foreground, interrupts
from connect_sim.cli.foreground import Foreground
from tests.program import Failed, run


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("", 2, "Missing argument 'COMMAND...'"),
        ("--nonsense -- true", 2, "No such option"),
        ("--keep full -- true", 2, "--keep: full is not empty"),
        ("--keep full/file -- true", 2, "is a file"),
        ("--keep full/file/below -- true", 2, "below cannot be used: Not a directory."),
        ("--keep full/link -- true", 2, "link cannot be used: No such file or directory."),
        ("--product none -- true", 2, "does not exist"),
        ("--product full/file -- true", 2, "full/file is neither a workbook nor JSON"),
        ("--product product.json --no-seed -- true", 2, "exclude each other"),
        ("--snapshot full/file --no-seed -- true", 2, "exclude each other"),
        ("-- no-such-program", 127, "There is no program 'no-such-program'"),
        ("no-such-program --port 1", 127, "There is no program 'no-such-program'"),
        ("-- full/none", 127, "There is no program 'full/none'"),
        ("-- full/file", 126, "full/file cannot be executed"),
        ("-- ./full", 126, "./full cannot be executed"),
        ("-- plain", 126, "plain cannot be executed"),
    ],
)
def test_refusal_is_one_line_with_the_exit_code_of_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("no JSON")
    (tmp_path / "full" / "link").symlink_to("nothing")
    (tmp_path / "product.json").write_text("{}")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "plain").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/programs:/bin:/usr/bin")
    with pytest.raises(Failed) as failed:
        run("exec", *arguments.split())
    assert failed.value.code == code and message in str(failed.value)
    assert str(failed.value).startswith("Error: ") and "\n" not in str(failed.value)


def test_signal_after_the_end_of_the_program_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the last moment before signals are no longer blocked."""
    unpatched = signal.pthread_sigmask

    def set_mask(how: int, mask: Any) -> Any:
        if how == signal.SIG_SETMASK:
            os.kill(os.getpid(), signal.SIGTERM)
        return unpatched(how, mask)

    with interrupts.ending() as interruption, Guard() as guard, Foreground() as program:
        monkeypatch.setattr(signal, "pthread_sigmask", set_mask)
        assert program.run("/bin/true", ("true",), {}, guard) == 0
    assert interruption.number == 0


def test_end_of_the_program_is_found_without_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another thread had got it."""
    monkeypatch.setattr(signal, "pthread_sigmask", lambda how, mask: set())
    monkeypatch.setattr(foreground, "_LOOK", 0.01)
    with interrupts.ending(), Guard() as guard, Foreground() as program:
        assert program.run("/bin/true", ("true",), {}, guard) == 0


def test_key_that_has_ended_the_program_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where a process that has ended has no group."""

    def find_group(pid: int) -> int:
        raise ProcessLookupError

    unpatched, keys = foreground._wait, [(signal.SIGINT, True)]
    monkeypatch.setattr(os, "getpgid", find_group)
    with interrupts.ending(), Guard() as guard, Foreground() as program:
        monkeypatch.setattr(foreground, "_wait", lambda ns: keys.pop() if keys else unpatched(ns))
        assert program.run("/bin/true", ("true",), {}, guard) == 0
    assert not keys


def test_error_of_the_system_names_the_output_of_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(throwaway: Throwaway) -> None:
        throwaway.data.with_name("log").write_text("printed")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Throwaway, "start", fail)
    with pytest.raises(Failed, match=r"No space left on device\. The") as failed:
        run("exec", "--", "true")
    [log] = tmp_path.iterdir()
    assert failed.value.code == 125 and str(failed.value).endswith(f" in {log}.")
    assert log.read_text() == "printed"


def test_kept_folder_is_private_before_it_has_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    def copy(source: Path, target: Path, **options: Any) -> None:
        modes.append(target.stat().st_mode & 0o777)

    monkeypatch.setattr("shutil.copytree", copy)
    with Guard() as guard, Throwaway(guard) as throwaway:
        exec_command._save(throwaway, tmp_path / "kept")
    assert modes == [0o700]
