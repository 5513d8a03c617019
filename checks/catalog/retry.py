"""Checks of what follows an outage of the handler itself."""

from __future__ import annotations

from checks import experiments, recovery, setup, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.lab import Lab
from checks.model import Check, Level, Need
from checks.outcomes import Verdict

_ORDERS = 3
# More failures in a row than Connect tolerates.
_MOST_FAILURES = 30


def after_500(lab: Lab) -> Verdict:
    """Let the first attempt fail, and see the retry process what has come meanwhile."""
    mark = lab.mark()
    with lab.platform.fault("abort", {"status": 500}, webhook=lab.webhook, times=1) as fault:
        lab.activate()
        first = lab.order()
        lab.platform.settle(lab.timing.quiet)
        fired = fault.fired
        # While the webhook is in backoff, no further attempt begins because of these.
        orders = [first, *lab.orders(_ORDERS - 1)]
        recovery.recover(lab, orders)
    if not fired:
        return verdicts.void("the platform made no attempt.")
    return recovery.judge(lab, orders, mark, "after an attempt that failed")


def out_of_order(lab: Lab) -> Verdict:
    """Let attempts fail until the webhook is out of order, and recover it."""
    mark = lab.mark()
    with lab.platform.fault("abort", {"status": 500}, webhook=lab.webhook):
        lab.activate()
        orders = lab.orders(_ORDERS)
        recovery.make_attempts(lab, _MOST_FAILURES)
        attempts = lab.since(mark).attempts
    if not any(entry["data"]["out_of_order"] for entry in attempts):
        return verdicts.void("the webhook did not become out of order.")
    # An edit recovers the webhook, as in Connect.
    lab.activate()
    recovery.recover(lab, orders)
    return recovery.judge(lab, orders, mark, "after the webhook was out of order")


def rotated_secret(lab: Lab) -> Verdict:
    """Give the webhook another secret, and start the handler with it."""
    assert lab.process is not None
    secret = setup.new_secret()
    old = lab.signer
    lab.platform.update_webhook(lab.webhook, jwt_secret=secret)
    try:
        lab.process.restart(jwt_secret=secret)
        mark = lab.mark()
        lab.activate()
        [order] = lab.orders(1)
        recovery.recover(lab, [order])
        verdict = recovery.judge(lab, [order], mark, "with the new secret")
        if verdict.outcome != "pass":
            return verdict
        lab.deactivate()
        stale = lab.genuine(token=old.token())
        refusal = experiments.refuses(lab, (stale, "a token signed with the old secret"))
        return refusal if refusal.outcome != "pass" else verdict
    finally:
        # So that the handler begins with no order that the next check removes.
        try:
            lab.start_over()
        finally:
            lab.process.restart(jwt_secret=old.secret)


CHECKS = (
    Check(
        "retry.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "retry.after_500",
        Level.MUST,
        "One retry processes all that came in the meantime",
        f"The first attempt fails with 500 before it reaches the handler; {_ORDERS} orders are "
        "pending when the platform retries.",
        "All of them become approved, once each.",
        "While a webhook is in backoff, Connect combines what happens into the next attempt: one "
        "call may be about many orders.",
        "Process everything that is pending at each call, not one order.",
        after_500,
    ),
    Check(
        "retry.out_of_order",
        Level.MUST,
        "A recovered webhook processes what has waited",
        f"Attempts fail until Connect pauses the webhook (out of order), while {_ORDERS} orders "
        "are pending; then the webhook is recovered.",
        "All of them become approved, once each.",
        "After an outage, everything that has waited must be processed without further events.",
        "Process everything that is pending at each call, whatever the call is about.",
        out_of_order,
    ),
    Check(
        "retry.rotated_secret",
        Level.MAY,
        "A new secret works after a restart",
        "The webhook gets a new secret; the handler is started again with it in its environment.",
        "A new order becomes approved, and a token signed with the old secret is refused.",
        "Secrets are changed when they have leaked: the old one must not be accepted any more.",
        "Read the secret from the environment at the start, and keep no copy of it elsewhere.",
        rotated_secret,
        needs=frozenset({Need.EVENT, Need.PROCESS}),
    ),
)
