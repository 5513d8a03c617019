"""Signals that end a program, for commands that start other processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from connect_sim.cli import output

# Windows has no SIGHUP.
_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@dataclass
class Interruption:
    """The signal that interrupts a program, 0 if none has."""

    number: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code by which shells know the signal."""
        return 128 + self.number


@contextmanager
def ending() -> Iterator[Interruption]:
    """Let signals raise KeyboardInterrupt, so that a program ends what it has started.

    A second one ends it at once. Only the main thread of a program can handle signals.
    """
    interruption = Interruption()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interruption.number = number
        for each in before:
            signal.signal(each, _end_now)
        output.error_line("Interrupted: ending what was started.")
        raise KeyboardInterrupt

    # A program that nohup or a script in the background has started ignores some.
    numbers = [each for each in _NUMBERS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in before:
            signal.signal(number, interrupt)
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_now(number: int, frame: FrameType | None) -> None:
    # checks.guard ends the handlers, and deletes the folders.
    os._exit(128 + number)
