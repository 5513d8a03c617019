"""What a run of checks shows while it runs: a bar in a terminal, elsewhere a line per check."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TextIO

from checks.model import Check, Result
from checks.outputs.marks import Mark, mark

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress(Protocol):
    """Is told what a run does; its methods may be called from several threads."""

    def started(self, check: Check) -> None:
        """Note that a check runs."""

    def ended(self, result: Result) -> None:
        """Note a check's result; a skipped check has not been started."""

    def close(self) -> None:
        """Remove what is shown; may be called twice."""


class Lines:
    """Prints a line for each check as it ends."""

    def __init__(self, total: int, strict: bool, out: TextIO) -> None:
        self._total, self._strict, self._out = total, strict, out
        self._done = 0
        self._lock = threading.Lock()

    def started(self, check: Check) -> None:
        """Do nothing: the line follows."""

    def ended(self, result: Result) -> None:
        """Print the line; a stream that is gone is no error of the run."""
        shown = mark(result, self._strict)
        with self._lock, suppress(OSError):
            self._done += 1
            self._out.write(
                f"[{self._done}/{self._total}] {shown.value} {result.check.id} "
                f"({result.seconds:.1f} s)\n"
            )
            self._out.flush()

    def close(self) -> None:
        """Do nothing."""


class Counter:
    """Counts results, and knows which checks are running."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._lock = threading.Lock()
        self._running: dict[str, None] = {}
        self._failed = 0
        self.done = 0

    def started(self, check: Check) -> None:
        """Add a running check."""
        with self._lock:
            self._running[check.id] = None

    def ended(self, result: Result) -> None:
        """Count a result."""
        with self._lock:
            self._running.pop(result.check.id, None)
            self.done += 1
            self._failed += mark(result, self._strict) is Mark.FAIL

    def text(self) -> str:
        """Return `1 failed  auth.none, race.same_request`."""
        with self._lock:
            parts = [Mark.FAIL.counted(self._failed)] if self._failed else []
            return "  ".join([*parts, ", ".join(self._running)]).strip()


class Live:
    """A bar that is redrawn in a terminal, and removed at the end."""

    def __init__(self, total: int, strict: bool, out: TextIO) -> None:
        self._counter = Counter(strict)
        self._bar = _bar(out)
        # Until the first check begins: a sandbox and a handler take seconds.
        self._task = self._bar.add_task("starting", total=total)
        self._bar.start()

    def started(self, check: Check) -> None:
        """Name the check beside the bar."""
        self._counter.started(check)
        self._update()

    def ended(self, result: Result) -> None:
        """Move the bar."""
        self._counter.ended(result)
        self._update()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()

    def _update(self) -> None:
        self._bar.update(self._task, completed=self._counter.done, description=self._counter.text())


def create(
    total: int, strict: bool, out: TextIO, environ: Mapping[str, str] = os.environ
) -> Progress:
    """Return a bar for a terminal, for `total` checks; lines in CI and with NO_COLOR."""
    is_terminal = out.isatty() and environ.get("TERM") != "dumb"
    if is_terminal and not environ.get("CI") and not environ.get("NO_COLOR"):
        return Live(total, strict, out)
    return Lines(total, strict, out)


def _bar(out: TextIO) -> Bar:
    # Rich takes a tenth of a second to import.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    # Output of the handler and of other threads must not be redirected through the bar.
    return Bar(
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(file=out, force_terminal=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
