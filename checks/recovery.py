"""Let a handler recover: by the attempts of the platform, and by what it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence

from checks.history import SUCCESS
from checks.lab import Lab
from checks.platform import PATIENCE

# Attempts of the platform that are made in a row, until one fails or none is due.
_ATTEMPTS = 4
# Seconds of real time between attempts: a handler that pauses after a failure fails until then,
# or repeats the work itself. The last pause is longer for a handler that takes longer anyway.
_PAUSES = (1.0, 2.0, 4.0)
_LAST_PAUSE = 8.0


def recover(lab: Lab, orders: Sequence[str]) -> None:
    """Make attempts until they succeed and no order is pending, with growing pauses."""
    for pause in (*_PAUSES, max(_LAST_PAUSE, lab.timing.patience), 0.0):
        has_succeeded = _make_attempts(lab)
        if has_succeeded and all(lab.status(order) != "pending" for order in orders):
            break
        if has_succeeded:
            lab.wait_finished(orders, pause)
        else:
            lab.wait_for(lambda: False, pause)


def _make_attempts(lab: Lab) -> bool:
    """Move through the attempts that are due, also if all is done; return whether none failed."""
    for _ in range(_ATTEMPTS):
        # A move waits for what the handler does before and after.
        attempts = lab.platform.next_attempt(lab.timing.quiet)["attempts"]
        if not attempts:
            break
        if attempts[-1]["outcome"] != SUCCESS:
            return False
    return True


def make_attempts(lab: Lab, most: int, patience: float = PATIENCE) -> None:
    """Move through attempts that are due, whatever comes of them."""
    for _ in range(most):
        if not lab.platform.next_attempt(lab.timing.quiet, patience)["attempts"]:
            break
