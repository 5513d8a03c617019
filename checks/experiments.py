"""Experiments that many checks make: a request that must be processed, or refused."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from checks import causes, history, verdicts
from checks.handler_requests import Reply, SentRequest
from checks.history import UNTOUCHED, History
from checks.lab import Lab
from checks.outcomes import Outcome, Verdict
from checks.timing import OutOfTime

# Seconds of real time for the response to a request of the platform.
_ANSWER = 40.0
# A handler that works by the platform's clock follows so many moves, each within seconds.
_BY_CLOCK = "the handler works by the platform's clock"
_MOVE, _MOVES, _SOON, _AGAIN = "2m", 2, 3.0, 0.2
_PRODUCT = re.compile(r"PRD(?:-\d+)+")
# Seconds of real time in which a handler that works by itself reveals it.
_UNASKED = 2.0
_NEVER_UNASKED = "the handler does nothing without a request"
# How often a request is sent whose effect may be one of a timer, and how often if the handler has
# none as far as is known.
_ATTEMPTS, _ATTEMPTS_WITHOUT_TIMER = 4, 2

Described = tuple[SentRequest, str]
Case = TypeVar("Case")


@dataclass(frozen=True, slots=True)
class _Trial:
    """Requests that were sent while one order was pending, and how the last of them ended."""

    requests: Sequence[Described]
    reply: Reply
    verdict: Verdict


def sweep(lab: Lab, cases: Sequence[Case], judge: Callable[[Case], Verdict], noun: str) -> Verdict:
    """Judge cases until one fails or is skipped, or the time doesn't suffice for one more.

    Return that verdict as it is; else what is inconclusive, else the last pass, which says how many
    cases were tried. Raises OutOfTime without time for one.
    """
    began, tried = time.monotonic(), 0
    found: Verdict | None = None
    for place in spread(len(cases)):
        try:
            # As long as one took so far: most of it may be the start of a handler, which isn't cut.
            lab.budget.check((time.monotonic() - began) / max(tried, 1))
            verdict = judge(cases[place])
        except OutOfTime:
            if found is None:
                raise
            break
        tried += 1
        if found is None or found.outcome is Outcome.PASS:
            found = verdict
        if verdict.outcome in (Outcome.FAIL, Outcome.SKIPPED):
            return verdict
    assert found is not None, "nothing to try"
    if len(cases) == 1:
        return found
    took = f"{time.monotonic() - began:.0f} s"
    return replace(found, text=f"{found.text} {tried} of {len(cases)} {noun} tried in {took}.")


def spread(count: int) -> list[int]:
    """Return places so that few are spread over all: the first, the last, one in between."""
    places = list(dict.fromkeys((0, count - 1)))
    gaps = deque([(0, count - 1)])
    while gaps:
        first, last = gaps.popleft()
        middle = (first + last) // 2
        if middle > first:
            places.append(middle)
            gaps += ((first, middle), (middle, last))
    return places


def accepts(lab: Lab, *requests: Described) -> Verdict:
    """Send genuine requests, each for one new order, which must be approved once.

    Each has a description, as in "a genuine request by GET".
    """
    return sweep(lab, requests, lambda each: _accepts(lab, *each), "requests")


def _accepts(lab: Lab, sent: SentRequest, what: str) -> Verdict:
    order = lab.order()
    before, mark = lab.values(order), lab.mark()
    reply = lab.send(sent)
    happened = lab.after_work(mark, [reply], [order])
    effects = lab.effects(order, happened, before)
    return verdicts.approved(sent, reply, happened, effects, order, what)


def accepts_or_refuses(lab: Lab, *requests: Described) -> Verdict:
    """Send requests that may be processed, or refused with a 4xx status and without an effect.

    After a refusal, the handler must process the next genuine request.
    """

    def judge(described: Described) -> Verdict:
        return without_effect(lab, lambda: _accepts_or_refuses(lab, *described))

    return sweep(lab, requests, judge, "requests")


def _accepts_or_refuses(lab: Lab, sent: SentRequest, what: str) -> Verdict:
    order = lab.order()
    before, mark = lab.values(order), lab.mark()
    reply = lab.send(sent)
    happened = lab.after_work(mark, [reply], [order])
    effects = lab.effects(order, happened, before)
    if reply.is_success:
        return verdicts.approved(sent, reply, happened, effects, order, what)
    untouched = effects.status in UNTOUCHED
    verdict = verdicts.refused(sent, reply, happened, untouched, what)
    if verdict.outcome is Outcome.PASS and not 400 <= reply.status < 500:
        return verdicts.failed(
            f"Responded {reply.text} to {what} (expected 2xx, or 4xx as a refusal).",
            verdicts.request_exhibit(sent),
            verdicts.reply_exhibit(reply),
            happened.exhibit(),
        )
    if verdict.outcome is not Outcome.PASS:
        return verdict
    following = accepts(lab, (lab.genuine(), f"the genuine request that followed {what}"))
    if following.outcome is not Outcome.PASS:
        return following
    return verdicts.passed(f"Refused with {reply.status}, and processed the next request.")


def refuses(lab: Lab, *requests: Described) -> Verdict:
    """Send requests that must be refused while an order is pending, until one isn't.

    Each has a description, as in "a token without a signature". The effects are looked at once.
    """
    trials: list[_Trial] = []

    def attempt() -> Verdict:
        trials.append(_send_until_accepted(lab, requests))
        return trials[-1].verdict

    verdict = without_effect(lab, attempt)
    if verdict.cause == causes.ACTED and len(trials[-1].requests) > 1:
        return _acting_alone(lab, trials[-1].requests) or verdict
    accepted = next((each for each in trials if each.reply.is_success), None)
    if not accepted and verdict.outcome is Outcome.PASS and len(requests) > 1:
        return verdicts.passed(f"Refused all of {len(requests)} requests, without an effect.")
    if not accepted or verdict.outcome is Outcome.FAIL:
        return verdict
    if verdict.outcome is Outcome.PASS and not lab.timing.interval:
        # A handler that refuses what it has seen before refuses only the repetition.
        return accepted.verdict
    (sent, what), reply = accepted.requests[-1], accepted.reply
    why = verdict.text if verdict.outcome is Outcome.SKIPPED else "Later it refused the same."
    text = f"Responded {reply.status} to {what}, as if it was accepted. {why}"
    return verdicts.failed(text, verdicts.request_exhibit(sent), verdicts.reply_exhibit(reply))


def _acting_alone(lab: Lab, requests: Sequence[Described]) -> Verdict | None:
    """Return the verdict on the request that has an effect when it is sent alone, if any has."""
    with suppress(OutOfTime):
        # All but the last one were refused.
        for request in reversed(requests):
            verdict = _send_until_accepted(lab, [request]).verdict
            if verdict.cause == causes.ACTED:
                return verdict
    return None


def _send_until_accepted(lab: Lab, requests: Sequence[Described]) -> _Trial:
    """Send requests until one isn't refused."""
    order = lab.order()
    before, mark = lab.values(order), lab.mark()
    tried = []
    for request in requests:
        tried.append(request)
        reply = lab.send(request[0])
        if reply.is_success or reply.error:
            break
    sent, what = tried[-1]
    happened = lab.after(mark)
    verdict = verdicts.refused(sent, reply, happened, is_untouched(lab, order, before), what)
    return _Trial(tried, reply, verdict)


def without_effect(lab: Lab, attempt: Callable[[], Verdict]) -> Verdict:
    """Judge what must have no effect, whatever a handler that polls does at the same time.

    If each attempt has an effect, wait whether an order is processed without a request.
    """
    has_timer, is_known = lab.timing.interval > 0, _NEVER_UNASKED in lab.shared
    attempts = _ATTEMPTS_WITHOUT_TIMER if is_known else _ATTEMPTS
    judged: Verdict | None = None
    try:
        for number in range(1, attempts + 1):
            began = time.monotonic()
            verdict = attempt()
            if verdict.cause not in causes.EFFECTS:
                return verdict
            judged = verdict
            # If no timer is known of, early: later the time may not suffice.
            if is_known or number != (attempts if has_timer else _ATTEMPTS_WITHOUT_TIMER):
                continue
            if order := _processed_unasked(lab, 2 * (time.monotonic() - began)):
                return verdicts.skipped(
                    f"The handler processed {order} without a request, as by a timer of its own: "
                    "that can't be told from an effect of a request."
                )
            # One that polls may have a pause that varies.
            if not has_timer:
                lab.shared[_NEVER_UNASKED] = True
    except OutOfTime:
        if judged is None or has_timer:
            raise
        # Nor will the checks that follow have the time to look for a timer.
        lab.shared[_NEVER_UNASKED] = True
    assert judged is not None
    return judged


def _processed_unasked(lab: Lab, patience: float) -> str:
    """Return an order that the handler processes without a request; empty if it doesn't."""
    pause = max(0.0 if lab.timing.interval else _UNASKED, lab.timing.quiet)
    # What the attempt has started must be over.
    lab.settle(pause)
    order = lab.order()
    patience = max(patience, lab.timing.patience if lab.timing.interval else pause)
    return order if lab.wait_finished([order], patience) else ""


def is_untouched(lab: Lab, order: str, before: dict[str, str]) -> bool:
    """Return whether an order still waits for the vendor, with the values that it had before."""
    now = lab.platform.request(order)
    return now["status"] in UNTOUCHED and history.filled(now) == before


def control(lab: Lab) -> Verdict:
    """Let the platform itself call the handler about a new order, which must become approved."""
    lab.activate()
    mark = lab.mark()
    order = lab.order()
    if (status := lab.status(order)) in ("tiers_setup", "inquiring"):
        return verdicts.inconclusive(
            f"{order} is {status} before the handler is called: it waits for "
            f"{_waits_for(lab, order)}."
        )
    lab.wait_entry(mark, "attempt_finished", _ANSWER)
    if _works_by_clock(lab, order):
        return verdicts.skipped(
            "The handler works by the platform's clock: it processes orders when that has moved by "
            f"{_MOVE}, and not before. Checks expect work within seconds of real time."
        )
    # A handler may do its work long after its response.
    if lab.wait_finished([order]):
        lab.platform.settle(lab.timing.quiet)
    happened = lab.since(mark)
    effects = lab.effects(order, happened, {})
    evidence = (
        happened.attempts_exhibit(),
        verdicts.effects_exhibit(effects, order),
        happened.exhibit(),
    )
    if not happened.attempts:
        return verdicts.failed(
            "The request of the platform itself has not been answered.", *evidence
        )
    if effects.status == "approved":
        return verdicts.passed(f"{order} was approved because of Connect's own request.")
    text = f"{order} is {effects.status} after Connect's own request (expected approved)."
    return verdicts.failed(f"{text}{_about_product(lab, happened)}", *evidence)


def _works_by_clock(lab: Lab, order: str) -> bool:
    """Return whether the handler processes an order when the platform's clock moves, each time.

    Only if it hasn't soon; one that polls in real time doesn't follow each move.
    """
    if _BY_CLOCK not in lab.shared:
        if lab.timing.interval or lab.wait_finished([order], 0):
            return False
        soon = _SOON + lab.timing.work
        if lab.wait_finished([order], soon):
            # By chance, if a minute has begun meanwhile: the next one doesn't begin so soon.
            order = lab.order()
            if lab.wait_finished([order], soon):
                lab.shared[_BY_CLOCK] = False
                return False
        for _ in range(_MOVES):
            lab.platform.advance(_MOVE, _AGAIN, _SOON)
            if not lab.wait_finished([order], _SOON):
                break
            order = lab.order()
        else:
            lab.shared[_BY_CLOCK] = True
            return True
        lab.shared[_BY_CLOCK] = False
    return lab.shared[_BY_CLOCK] is True


def _waits_for(lab: Lab, order: str) -> str:
    """Return what must happen before the vendor can process an order."""
    requests = lab.platform.tier_requests(order)
    if requests:
        return verdicts.ids([f"{row['id']} ({row['status']})" for row in requests])
    params = lab.platform.request(order)["asset"]["params"]
    empty = [
        row["id"]
        for row in params
        if row["value_error"] or (row["constraints"]["required"] and not row["value"])
    ]
    return f"the customer's value of {verdicts.ids(empty)}"


def _about_product(lab: Lab, happened: History) -> str:
    """Return a sentence if the handler asks for orders of other products only."""
    found = set(_PRODUCT.findall(" ".join(call.query for call in happened.calls)))
    if not found or lab.product in found:
        return ""
    other = min(found)
    cure = "Let it read the variable PRODUCT_ID" if lab.process else f"Use --product {other}"
    return f" The handler asks for orders of {other}; this one is of {lab.product}. {cure}."


CONTROL_TEXTS = (
    "A new order, about which the platform itself calls the handler.",
    "The order becomes approved.",
    "Without it, the other checks of the group would prove nothing: a handler that does nothing "
    "has no wrong effects.",
    "Read the pending requests of the product by Connect's API, set their parameters, and approve "
    "them. The evidence has the attempts and the handler's API calls.",
)

__all__ = [
    "CONTROL_TEXTS",
    "Described",
    "accepts",
    "accepts_or_refuses",
    "control",
    "is_untouched",
    "refuses",
    "spread",
    "sweep",
    "without_effect",
]
