"""Checks of the handler as a client of Connect's API that fails."""

from __future__ import annotations

import time

from checks import causes, recovery, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.lab import Lab
from checks.model import Check, Level
from checks.outcomes import Verdict
from checks.platform import SHORT_PATIENCE

MOST_CALLS, WINDOW = 50, 5.0  # calls of the API in so many seconds of real time
_FAILING = {"status": 503}
_FAILED_ATTEMPTS = 2
_LONGEST_PAUSE = 15.0  # seconds


def no_hammering(lab: Lab) -> Verdict:
    """Count the API calls of a handler while each of them fails."""
    order = lab.order()
    mark = lab.mark()
    with lab.platform.fault("abort", _FAILING, side="api") as fault:
        pending = lab.begin()
        time.sleep(WINDOW)
        fired = fault.fired
    reply = pending.result()
    happened = lab.after(mark)
    calls = [call for call in happened.calls if call.status == _FAILING["status"]]
    evidence = (verdicts.reply_exhibit(reply), happened.exhibit())
    if not fired:
        return verdicts.void(f"the handler called nothing because of {order}.", *evidence)
    if len(calls) > MOST_CALLS:
        return verdicts.failed(
            f"Made {len(calls)} calls in {WINDOW:g} s while each of them failed (at most "
            f"{MOST_CALLS}).",
            *evidence,
        )
    return verdicts.passed(
        f"Made {verdicts.plural(len(calls), 'call')} in {WINDOW:g} s while the API failed."
    )


def resumes(lab: Lab) -> Verdict:
    """Let the API fail for two attempts, and work again."""
    _end_pause(lab)
    mark = lab.mark()
    with lab.platform.fault("abort", _FAILING, side="api") as fault:
        lab.activate()
        order = lab.order()
        recovery.make_attempts(lab, _FAILED_ATTEMPTS, SHORT_PATIENCE)
        lab.wait_fired(mark, order, fault)
        fired = fault.fired
    recovery.recover(lab, [order])
    happened = lab.since(mark)
    effects = lab.effects(order, happened, {})
    evidence = (
        verdicts.effects_exhibit(effects, order),
        happened.attempts_exhibit(),
        happened.exhibit(),
    )
    if not fired:
        return verdicts.void(f"the handler called nothing because of {order}.", *evidence)
    if effects.status != "approved":
        return verdicts.failed(
            f"{order} is {effects.status}, although the API works again (expected approved).",
            *evidence,
            cause="" if happened.last_failure else causes.STOPS,
        )
    return verdicts.once(effects, order, *evidence) or verdicts.passed(
        f"{order} was approved once when the API worked again."
    )


def _end_pause(lab: Lab) -> None:
    """End a pause in which an earlier check may have left the handler.

    In a long one it would not call the API while that fails.
    """
    if lab.process:
        lab.process.stop()
        lab.start_over()
    else:
        order = lab.order()
        lab.send()
        lab.wait_finished([order], _LONGEST_PAUSE)


CHECKS = (
    Check(
        "client.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "client.no_hammering",
        Level.MUST,
        "A failing API is not called over and over",
        f"A genuine request, while the API answers every call with {_FAILING['status']}.",
        f"At most {MOST_CALLS} calls of the API within {WINDOW:g} s.",
        "A loop that repeats at once keeps a service down that is about to recover, and Connect "
        "limits the rate of calls.",
        "Wait longer after each failure (for example 1 s, 2 s, 4 s), give up after a few, and "
        "respond 500: Connect calls again.",
        no_hammering,
    ),
    Check(
        "client.resumes",
        Level.MUST,
        "The work goes on when the API works again",
        "A new order, while the API answers every call with "
        f"{_FAILING['status']} for two attempts; then it works again.",
        "The order is approved once.",
        "A handler that responds 200 although it could do nothing is not called again, and the "
        "order stays pending.",
        "Respond 500 when the work could not be done, or keep trying by yourself until it is, "
        "after pauses that grow. Catch errors for each order separately: one that is refused must "
        "not keep the others from being processed.",
        resumes,
    ),
)
