"""Let a handler recover, and judge what has become of its orders.

By the attempts of the platform, and by what it repeats itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from checks import verdicts
from checks.history import SUCCESS
from checks.lab import Lab
from checks.outcomes import Exhibit, Verdict
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
        outcomes = lab.next_attempts()
        if not outcomes:
            break
        if outcomes[-1] != SUCCESS:
            return False
    return True


def make_attempts(lab: Lab, most: int, patience: float = PATIENCE) -> None:
    """Move through attempts that are due, whatever comes of them."""
    for _ in range(most):
        if not lab.next_attempts(patience):
            break


def judge(lab: Lab, orders: Sequence[str], mark: str, when: str) -> Verdict:
    """Judge that each order was approved once since the mark; `when` ends the sentences."""
    happened = lab.since(mark)
    effects = {order: lab.effects(order, happened, {}) for order in orders}
    statuses = Exhibit("Orders", tuple(f"{k}: {e.status}" for k, e in effects.items()))
    evidence = (statuses, happened.attempts_exhibit(), happened.exhibit())
    left = [order for order, each in effects.items() if each.status != "approved"]
    if left:
        return verdicts.failed(f"Not approved {when}: {verdicts.ids(left)}.", *evidence)
    for order, each in effects.items():
        if wrong := verdicts.once(each, order, *evidence):
            return wrong
    text = "was approved once" if len(orders) == 1 else "were approved once each"
    return verdicts.passed(f"{verdicts.ids(orders)} {text} {when}.")
