"""Signals that end a program, for commands that start other processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

# Windows has no SIGHUP.
_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def ending() -> Iterator[None]:
    """Let the signals that end a program end what it has started, too; the second ends it at once.

    Only the main thread of a program can handle signals.
    """
    # A program that nohup or a script in the background has started ignores some.
    numbers = [each for each in _NUMBERS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in _NUMBERS:
        if signal.getsignal(each) is _interrupt:
            signal.signal(each, _end_now)
    click.echo("Interrupted: ending what was started.", err=True)
    raise KeyboardInterrupt


def _end_now(number: int, frame: FrameType | None) -> None:
    # sandbox.checks.guard ends the handlers, and deletes the folders.
    os._exit(128 + number)
