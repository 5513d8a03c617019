"""What keeps a process from its work: logged as it begins and as it ends, not each second."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

logger = logging.getLogger(__name__)

# Seconds after which a problem that lasts is logged again.
REPEAT = 600.0


@dataclass(slots=True)
class _Problem:
    reason: str
    since: float
    logged: float


class Problems:
    """The problems of one process, by what they keep it from; may be used by any thread."""

    def __init__(self) -> None:
        self._problems: dict[str, _Problem] = {}

    def begin(self, what: str, reason: BaseException | str, *, traceback: bool = False) -> None:
        """Note that `what` fails, and log it if it worked before."""
        now = time.monotonic()
        problem = self._problems.get(what)
        if problem is None:
            problem = self._problems[what] = _Problem("", now, now - REPEAT)
        # Only the type of an error: its text may have a secret in it.
        problem.reason = reason if isinstance(reason, str) else type(reason).__name__
        if now - problem.logged >= REPEAT:
            problem.logged = now
            error = reason if traceback and isinstance(reason, BaseException) else None
            logger.error("%s: failing (%s); trying again.", what, problem.reason, exc_info=error)

    def end(self, what: str) -> None:
        """Note that `what` works, and log it if it failed before."""
        problem = self._problems.pop(what, None)
        if problem is not None:
            lasted = time.monotonic() - problem.since
            logger.warning("%s: working again after %.1f s.", what, lasted)

    def age(self, what: str) -> float | None:
        """Return for how many seconds `what` has been failing, or None."""
        problem = self._problems.get(what)
        return None if problem is None else time.monotonic() - problem.since

    def summary(self) -> str:
        """Return the problems for a page, in one line; empty without any."""
        found = sorted(self._problems.copy().items())
        return "; ".join(f"{what} ({problem.reason})" for what, problem in found)
