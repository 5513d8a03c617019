"""Checks of the handler as a client of Connect's API that fails, or refuses its key."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Container, Mapping
from typing import Any

from checks import causes, recovery, task_experiments, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.history import History
from checks.lab import Lab
from checks.model import Check, Level
from checks.outcomes import Verdict
from checks.platform import SHORT_PATIENCE, ArmedFault

MOST_CALLS, WINDOW = 50, 5.0  # calls of the API in so many seconds of real time
_FAILING: dict[str, Any] = {"status": 503}
# As for a key without permissions.
_REFUSING: dict[str, Any] = {
    "status": 403,
    "body": {
        "error_code": "AUTH_002",
        "errors": ["The API key has no permission for the module Subscriptions."],
    },
}
_FAILED_ATTEMPTS = 2
_LONGEST_PAUSE = 15.0  # seconds


def no_hammering(lab: Lab) -> Verdict:
    """Count the API calls of a handler while each of them fails."""
    order = lab.order()
    mark = lab.mark()
    with lab.platform.fault("abort", _FAILING, side="api") as fault:
        pending = lab.begin()
        _wait_for_calls(lab, mark, fault, WINDOW)
        fired = fault.fired
    reply = pending.result()
    happened = lab.after(mark)
    count = busiest(happened, [_FAILING["status"]])
    evidence = (verdicts.reply_exhibit(reply), happened.exhibit())
    if not fired:
        return verdicts.void(f"the handler called nothing because of {order}.", *evidence)
    if count > MOST_CALLS:
        return verdicts.failed(
            f"Made {count} calls in {WINDOW:g} s while each of them failed (at most {MOST_CALLS}).",
            *evidence,
        )
    return verdicts.passed(
        f"Made {verdicts.plural(count, 'call')} in {WINDOW:g} s while the API failed."
    )


def _wait_for_calls(lab: Lab, mark: str, fault: ArmedFault, seconds: float) -> None:
    """Wait for some seconds, or until a fault has fired for too many calls since the mark."""
    lab.wait_entry(
        mark,
        "fault",
        seconds,
        lambda entry: entry["data"]["id"] == fault.id and entry["data"]["fired"] > MOST_CALLS,
    )


def busiest(happened: History, statuses: Container[int]) -> int:
    """Return the most calls that got one of these statuses within any WINDOW seconds."""
    began = sorted(call.began for call in happened.calls if call.status in statuses)
    counts = (bisect_right(began, at + WINDOW) - place for place, at in enumerate(began))
    return max(counts, default=0)


def resumes(lab: Lab) -> Verdict:
    """Let the API fail for two attempts, and work again."""
    return _outage(lab, _FAILING, _FAILED_ATTEMPTS)[0]


def refused_key(lab: Lab) -> Verdict:
    """Let the API refuse the handler's key for an attempt, and accept it again."""
    verdict, happened = _outage(lab, _REFUSING, 1, WINDOW)
    if (count := busiest(happened, [_REFUSING["status"]])) > MOST_CALLS:
        return verdicts.failed(
            f"Made {count} calls in {WINDOW:g} s while each of them was refused (at most "
            f"{MOST_CALLS}).",
            happened.attempts_exhibit(),
            happened.exhibit(),
        )
    return verdict


def _outage(
    lab: Lab, response: Mapping[str, Any], attempts: int, seconds: float = 0.0
) -> tuple[Verdict, History]:
    """Let the API respond so for some attempts, and judge what becomes of an order.

    That lasts some seconds at least, unless the handler makes too many calls. Also return what has
    happened.
    """
    _end_pause(lab)
    mark = lab.mark()
    with lab.platform.fault("abort", response, side="api") as fault:
        lab.activate()
        order, ends = lab.order(), time.monotonic() + seconds
        recovery.make_attempts(lab, attempts, SHORT_PATIENCE)
        lab.wait_fired(mark, order, fault)
        _wait_for_calls(lab, mark, fault, max(0.0, ends - time.monotonic()))
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
        verdict = verdicts.void(f"the handler called nothing because of {order}.", *evidence)
    elif effects.status != "approved":
        verdict = verdicts.failed(
            f"{order} is {effects.status}, although the API works again (expected approved).",
            *evidence,
            cause="" if happened.last_failure else causes.STOPS,
        )
    else:
        verdict = verdicts.once(effects, order, *evidence) or verdicts.passed(
            f"{order} was approved once when the API worked again."
        )
    return verdict, happened


def _end_pause(lab: Lab) -> None:
    """End a pause in which an earlier check may have left the handler.

    In a long one it would not call the API while that fails.
    """
    if lab.process:
        lab.renew()
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
        extension=task_experiments.control,
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
        extension=resumes,
    ),
    Check(
        "client.refused_key",
        Level.MUST,
        "No order is lost while the API refuses the key",
        "A new order, while the API answers every call with 403, as for a key without permissions, "
        f"for an attempt and {WINDOW:g} s at least; then it accepts the key again.",
        f"At most {MOST_CALLS} calls of the API within {WINDOW:g} s, and the order is approved "
        "once when the key is accepted: after a response that is not 2xx, because Connect calls "
        "again, or by itself.",
        "Somebody forgets a module of a key, or takes it away. A handler that responds 200 hides "
        "that from everybody, and its orders stay pending although the key is corrected. Calling "
        "again at once changes nothing.",
        "Treat a 403 for all calls as a failure of the run, not as a refusal of one order: log "
        "it, respond 500, and wait longer before each try.",
        refused_key,
        extension=refused_key,
    ),
)
