"""The crash-point sweep: a good run is repeated once for each of its API calls, with a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from checks import causes, experiments, good_run, recovery, task_experiments, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.good_run import GoodRun, Step
from checks.history import Effects, History
from checks.lab import Lab
from checks.model import Check, Level, Need
from checks.outcomes import Outcome, Verdict

RETRY_AFTER = 1  # seconds of the header that a 429 has
_ENDED = (
    "No other API call was tried after that: the handler may be damaged, and only one that --run "
    "has started can be started again."
)

# Makes one run with a fault at a step, and returns how often the fault fired, and the order.
Crash = Callable[[Lab, Step], tuple[int, str]]


def sweep(
    lab: Lab, crash: Crash, what: str, chosen: Callable[[GoodRun], Sequence[Step]] | None = None
) -> Verdict:
    """Repeat a good run once for each of its API calls, or the chosen ones.

    `what` happens at that call.
    """
    lab.renew()
    good = good_run.record(lab, by_platform=True)
    steps = chosen(good) if chosen else good.steps
    if not steps:
        return verdicts.inconclusive("The handler makes no API call at which it could crash.")

    def judge(step: Step) -> Verdict:
        lab.renew()
        return _run(lab, good, step, crash, what)

    verdict = experiments.sweep(lab, steps, judge, "API calls")
    if verdict.outcome is Outcome.FAIL and not lab.process:
        return replace(verdict, text=f"{verdict.text} {_ENDED}")
    return verdict


def _run(lab: Lab, good: GoodRun, step: Step, crash: Crash, what: str) -> Verdict:
    """Make one run with a failure at a step."""
    mark = lab.mark()
    lab.activate()
    fired, order = crash(lab, step)
    recovery.recover(lab, [order])
    happened = lab.since(mark)
    effects = lab.effects(order, happened, {})
    wrong, happened = _wrong(lab, good, order, effects, happened, mark)
    evidence = (
        verdicts.effects_exhibit(effects, order),
        happened.exhibit(),
        happened.attempts_exhibit(),
        good.exhibit(),
    )
    if wrong:
        at = f"call {step.place + 1} of {len(good.steps)} ({step.text})"
        when = f"With {what} at {at}" if fired else f"In a run without {at}"
        is_over = effects.status == "pending" and not happened.last_failure
        cause = causes.STOPS if is_over else ""
        return verdicts.failed(f"{when}, {wrong}.", *evidence, cause=cause)
    if not fired:
        new = "" if lab.process else " With --run, each run has a handler that is new."
        return verdicts.void(
            f"the handler did not call {step.text} again, so nothing failed there.{new}",
            *evidence,
        )
    return verdicts.passed(
        f"With {what} at one API call after another, the effects are those of a good run, and the "
        "next order is processed."
    )


def _wrong(
    lab: Lab, good: GoodRun, order: str, effects: Effects, happened: History, mark: str
) -> tuple[str, History]:
    """Return what is wrong after a failure, and all that has happened until then.

    That is: with the order, the attempts, or the next order.
    """
    if difference := good_run.difference(good.effects, effects):
        return f"{order} ends differently: {difference}", happened
    text = f"{order} is {effects.status}"
    if not happened.last_failure:
        following = lab.order()
        recovery.recover(lab, [following])
        happened = lab.since(mark)
        if (status := lab.status(following)) != "approved":
            return f"{text}, but the order after it, {following}, is {status}", happened
    if failure := happened.last_failure:
        return f"{text}, but the platform's last attempt ended with {failure}", happened
    return "", happened


def _with_fault(kind: str, parameters: Mapping[str, Any] | None = None, pause: float = 0) -> Crash:
    def crash(lab: Lab, step: Step) -> tuple[int, str]:
        scope = {"nth": [step.occurrence], **step.scope}
        mark = lab.mark()
        with lab.platform.fault(kind, parameters, **scope) as fault:
            order = lab.order()
            lab.wait_fired(mark, order, fault)
            # Not as a time without calls: a handler that polls may never be quiet for so long.
            time.sleep(pause)
            lab.platform.settle(lab.timing.quiet)
            return fault.fired, order

    return crash


def _killed(lab: Lab, step: Step) -> tuple[int, str]:
    """Kill the handler when the step's work is done, before it has the response."""
    assert lab.process is not None
    with lab.platform.fault("hold", nth=[step.occurrence], **step.scope) as fault:
        order = lab.order()
        if fault.wait_held(1, lab.timing.deadline):
            lab.process.kill()
            fault.release()
            lab.process.restart()
        lab.platform.settle(lab.timing.quiet)
        return fault.fired, order


def api_500(lab: Lab) -> Verdict:
    """Answer one API call after another with 500."""
    return sweep(lab, _with_fault("abort", {"status": 500}), "a response of 500")


def api_429(lab: Lab) -> Verdict:
    """Answer one API call after another with 429."""
    parameters = {"status": 429, "retry_after": RETRY_AFTER}
    pause = RETRY_AFTER + 0.2
    return sweep(lab, _with_fault("abort", parameters, pause), "a response of 429")


def api_reset(lab: Lab) -> Verdict:
    """Reset the connection of one API call after another, whose work isn't done."""
    return sweep(lab, _with_fault("reset_peer"), "a reset connection")


def lost_response(lab: Lab) -> Verdict:
    """Do the work of one API call after another, and reset its connection."""
    return sweep(lab, _with_fault("lost_response"), "a lost response")


def killed(lab: Lab) -> Verdict:
    """Kill the handler after one API call after another, and start it again."""
    return sweep(lab, _killed, "the handler killed")


_EXPECTS = (
    "After the retries of the platform or of the handler, the effects are those of the good run: "
    "the same status, the same parameters filled, no second value sent for a parameter, and no "
    "second approval that succeeded. The platform's attempts end in 2xx, and one more order is "
    "processed."
)
_FIX = (
    "Respond 500 when the work could not be completed, so that Connect calls again, or repeat the "
    "work yourself. Begin each run by reading what is pending, fill only empty parameters, with "
    "values that are the same in a second run, and approve only what is still pending. Catch "
    "errors for each order separately, so that one doesn't keep the others from being processed."
)
_EACH = "One order. The run is repeated for each API call of a good run: "

CHECKS = (
    Check(
        "crash.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
        extension=task_experiments.control,
    ),
    Check(
        "crash.api_500",
        Level.MUST,
        "An API call that fails with 500 is made up for",
        f"{_EACH}that call is answered with 500.",
        _EXPECTS,
        "APIs fail now and then; an order whose processing stops half-way stays pending, or is "
        "processed twice.",
        _FIX,
        api_500,
        extension=api_500,
    ),
    Check(
        "crash.api_429",
        Level.MUST,
        "An API call that is refused with 429 is made up for",
        f"{_EACH}that call is answered with 429 and `Retry-After: {RETRY_AFTER}`.",
        _EXPECTS,
        "Connect limits the rate of calls.",
        f"Wait as long as Retry-After says and call again, or respond 500. {_FIX}",
        api_429,
        extension=api_429,
    ),
    Check(
        "crash.api_reset",
        Level.MUST,
        "A reset connection to the API is made up for",
        f"{_EACH}the connection of that call is reset, and its work isn't done.",
        _EXPECTS,
        "Networks and load balancers reset connections.",
        f"Catch connection errors as well as error responses. {_FIX}",
        api_reset,
        extension=api_reset,
    ),
    Check(
        "crash.lost_response",
        Level.MUST,
        "A lost response of the API is survived",
        f"{_EACH}the work of that call is done, and its response is lost.",
        _EXPECTS,
        "The handler cannot know whether its approval arrived. If it takes the error for a "
        "refusal, it fails or repeats what was done.",
        "After an error, read the request again before you repeat what may have been done. A "
        f"refused second approval of an approved request is no error. {_FIX}",
        lost_response,
        extension=lost_response,
    ),
    Check(
        "crash.killed",
        Level.MUST,
        "The handler may be killed at any moment",
        f"{_EACH}the handler is killed (SIGKILL) when that call was done, and started again.",
        _EXPECTS,
        "Deployments, crashes and machines that run out of memory end processes in the middle of "
        "their work.",
        "Keep no state that only the memory has. Respond only when the work is done, or read what "
        f"is pending at the start. {_FIX}",
        killed,
        extension=killed,
        needs=frozenset({Need.EVENT, Need.PROCESS}),
    ),
)
