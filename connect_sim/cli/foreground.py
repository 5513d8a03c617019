"""Run a program as a shell runs one in the foreground: its terminal, signals and exit code."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from checks.guard import Guard
from connect_sim.cli.errors import CliError, Code

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Python ignores them, and a program would inherit that.
_RESTORED = [signal.SIGPIPE, signal.SIGXFSZ]
_SI_KERNEL = 0x80  # asm-generic/siginfo.h
_LOOK = 0.5  # seconds between two looks whether the program has ended


def find(name: str, path: str) -> str:
    """Return the file of a program; raises CliError."""
    if found := shutil.which(name, path=path):
        return found
    if Path(name).exists() if os.sep in name else shutil.which(name, os.F_OK, path):
        raise CliError(Code.NOT_EXECUTABLE, f"{name} cannot be executed.")
    raise CliError(Code.NO_PROGRAM, f"There is no program {name!r}.")


class Foreground:
    """A context manager for `run`, after which signals don't interrupt this process until its end.

    `run` passes them on; what comes after the program has ended is ignored. A signal that this
    process has been told to ignore, by nohup for example, is left alone. The handlers are restored
    by `interrupts.ending`.
    """

    def __init__(self) -> None:
        self._passed_on = {n for n in _PASSED_ON if signal.getsignal(n) is not signal.SIG_IGN}
        self._waited_for = {*self._passed_on, signal.SIGCHLD}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        # A signal without a handler may be discarded, though it is blocked.
        self._handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def __enter__(self) -> Foreground:
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._passed_on:
            # Those that are pending are discarded by that, too.
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        signal.signal(signal.SIGCHLD, self._handler)

    def run(self, file: str, command: tuple[str, ...], env: Mapping[str, str], guard: Guard) -> int:
        """Run a program to its end, and return its exit code; raises CliError.

        It starts in our process group, so that it is the one that a terminal's keys are for.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, self._waited_for)
        try:
            pid = os.posix_spawn(file, command, env, setsigmask=self._mask, setsigdef=_RESTORED)
        except OSError as error:
            # Not found is, for example, the interpreter that a script names.
            is_missing = isinstance(error, FileNotFoundError)
            kind = Code.NO_PROGRAM if is_missing else Code.NOT_EXECUTABLE
            text = f"{command[0]} cannot be executed: {error.strerror}."
            raise CliError(kind, text) from None
        guard.add_process(pid)
        ended = 0
        while not ended:
            number, has_it = _wait(self._waited_for)
            if number == signal.SIGCHLD:
                ended, status = os.waitpid(pid, os.WNOHANG)
                continue
            # macOS knows no group of a process that has ended, by the same key for example.
            with suppress(ProcessLookupError):
                # A terminal's keys are for our group, which `timeout`, for example, has left.
                if not (has_it and os.getpgid(pid) == os.getpgrp()):
                    os.kill(pid, number)
        guard.remove_process(pid)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def _wait(numbers: set[signal.Signals]) -> tuple[int, bool]:
    """Wait for a signal; return it, and whether the terminal has sent it to all of our group."""
    if sys.platform == "linux":
        # Another thread, which doesn't block it, may get the signal of the end.
        info = signal.sigtimedwait(numbers, _LOOK)
        return (info.si_signo, info.si_code == _SI_KERNEL) if info else (signal.SIGCHLD, False)
    number = signal.sigwait(numbers)
    return number, number == signal.SIGINT and _is_in_foreground()


def _is_in_foreground() -> bool:
    """Return whether the keys of a terminal are for our process group."""
    with suppress(OSError):
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
