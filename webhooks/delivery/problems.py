"""What fails in a process, for the log and the heartbeat."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

logger = logging.getLogger(__name__)

REPEAT = 600.0  # seconds after which a lasting problem is logged again


@dataclass(slots=True)
class _Problem:
    reason: str
    since: float
    logged: float


class Problems:
    """What fails in a process: logged when it begins and ends. Thread-safe."""

    def __init__(self) -> None:
        self._problems: dict[str, _Problem] = {}

    def begin(self, what: str, reason: BaseException | str, *, traceback: bool = False) -> None:
        """Note that `what` fails, and log it unless it has been failing before."""
        now = time.monotonic()
        problem = self._problems.setdefault(what, _Problem("", now, now - REPEAT))
        # Only the type of an error: its text may contain a secret.
        problem.reason = reason if isinstance(reason, str) else type(reason).__name__
        if now - problem.logged >= REPEAT:
            problem.logged = now
            error = reason if traceback and isinstance(reason, BaseException) else None
            logger.error("%s: failing (%s); trying again.", what, problem.reason, exc_info=error)

    def end(self, what: str) -> None:
        """Note that `what` works, and log it if it has been failing."""
        problem = self._problems.pop(what, None)
        if problem is not None:
            seconds = time.monotonic() - problem.since
            logger.warning("%s: working again after %.1f s.", what, seconds)

    def is_failing(self, what: str) -> bool:
        """Whether `what` has been failing."""
        return what in self._problems

    def summary(self) -> str:
        """Return the problems in one line for a page; empty without any."""
        problems = sorted(self._problems.copy().items())
        return "; ".join(f"{what} ({problem.reason})" for what, problem in problems)
