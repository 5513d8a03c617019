"""Let a handler recover: by the attempts of the platform, and by what it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.checks.lab import Lab

_ATTEMPTS = 4  # attempts of the platform that are made at most, until none is due
# Seconds of real time for a handler that repeats failed work by itself.
_OWN_RETRY = 15.0


def recover(lab: Lab, orders: Sequence[str]) -> None:
    """Make the attempts that are due, and wait for a handler that goes on by itself."""
    make_attempts(lab)
    if _is_pending(lab, orders):
        lab.wait_for(lambda: not _is_pending(lab, orders), max(_OWN_RETRY, lab.timing.interval))
        make_attempts(lab)


def make_attempts(lab: Lab, most: int = _ATTEMPTS) -> int:
    """Move through the attempts that are due, also if all is done already; return how many."""
    made = 0
    for _ in range(most):
        # A move waits for what the handler does before and after.
        attempts = lab.platform.next_attempt(lab.timing.quiet)["attempts"]
        made += len(attempts)
        if not attempts:
            break
    return made


def _is_pending(lab: Lab, orders: Sequence[str]) -> bool:
    return any(lab.status(order) == "pending" for order in orders)
