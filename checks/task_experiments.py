"""Experiments with the tasks of an extension, which many checks make."""

from __future__ import annotations

from checks import recovery, verdicts
from checks.lab import Lab
from checks.outcomes import Verdict

# Milliseconds by which responses come later, and the number of those to writes of each kind.
_LATE, _WRITES = 1000, 20


def control(lab: Lab) -> Verdict:
    """Let the runner get the task of a new order, which must become approved."""
    lab.activate()
    mark, order = lab.mark(), lab.order()
    recovery.recover(lab, [order])
    happened = lab.since(mark)
    effects = lab.effects(order, happened, {})
    if effects.status == "approved":
        return verdicts.passed(f"{order} was approved because of its task.")
    evidence = (
        happened.attempts_exhibit(),
        verdicts.effects_exhibit(effects, order),
        happened.exhibit(),
    )
    if not happened.attempts:
        return verdicts.failed(
            "No task has ended: the extension must subscribe to asset_purchase_request_processing "
            "with the status pending.",
            *evidence,
        )
    return verdicts.failed(
        f"{order} is {effects.status} after its task (expected approved).", *evidence
    )


def twice(lab: Lab) -> Verdict:
    """Send the task of one order twice at once, while responses to writes come late.

    The runner reads the order for the second run when the first one has begun.
    """
    mark, scope = lab.mark(), {"side": "api", "times": _WRITES}
    with (
        lab.platform.fault("latency", {"ms": _LATE}, method="PUT", **scope) as puts,
        lab.platform.fault("latency", {"ms": _LATE}, method="POST", **scope) as posts,
        lab.platform.fault("duplicate_task", times=1) as duplicate,
    ):
        lab.activate()
        order = lab.order()
        recovery.recover(lab, [order])
        fired, is_twice = puts.fired + posts.fired, duplicate.fired
    if not fired or not is_twice:
        return verdicts.void("there was no task to send twice, or the extension wrote nothing.")
    return recovery.judge(lab, [order], mark, "when its task was sent twice")


def burst(lab: Lab, count: int) -> Verdict:
    """Create orders in a row, whose tasks are sent at once."""
    mark = lab.mark()
    lab.activate()
    orders = lab.orders(count)
    recovery.recover(lab, orders)
    return recovery.judge(lab, orders, mark, f"of {count} tasks at once")
