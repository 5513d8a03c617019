"""Experiments that many checks make: a request that must be processed, or refused."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.checks import verdicts
from sandbox.checks.handler_requests import SentRequest
from sandbox.checks.lab import Lab
from sandbox.checks.outcomes import Verdict


def accepts(lab: Lab, sent: SentRequest, what: str) -> Verdict:
    """Send a genuine request for one new order, which must become approved by one call."""
    order = lab.order()
    before, mark = lab.values(order), lab.mark()
    reply = lab.send(sent)
    happened = lab.after(mark)
    effects = lab.effects(order, happened, before)
    return verdicts.approved(sent, reply, happened, effects, order, what)


def refuses(lab: Lab, *requests: tuple[SentRequest, str]) -> Verdict:
    """Send requests that must be refused while an order is pending, one after another.

    Each has a description, as in "a token without a signature".
    """
    order = lab.order()
    for verdict in _refusals(lab, order, requests):
        if verdict.outcome != "pass":
            return verdict
    return verdict


def _refusals(lab: Lab, order: str, requests: Sequence[tuple[SentRequest, str]]) -> list[Verdict]:
    """Send all, and look at the effects once; on an effect, send them again one by one."""
    mark = lab.mark()
    replies = [lab.send(sent) for sent, _ in requests]
    happened = lab.after(mark)
    untouched = lab.status(order) == "pending"
    if len(requests) > 1 and (happened.writes or not untouched):
        return [each for pair in requests for each in _refusals(lab, lab.order(), [pair])]
    return [
        verdicts.refused(sent, reply, happened, untouched, what)
        for (sent, what), reply in zip(requests, replies, strict=True)
    ]


def control(lab: Lab) -> Verdict:
    """Let the platform itself call the handler about a new order, which must become approved."""
    lab.activate()
    mark = lab.mark()
    order = lab.order()
    lab.platform.settle(lab.timing.quiet)
    happened = lab.since(mark)
    effects = lab.effects(order, happened, {})
    evidence = (
        happened.attempts_exhibit(), verdicts.effects_exhibit(effects, order), happened.exhibit()
    )  # fmt: skip
    if not happened.attempts:
        return verdicts.failed("The platform made no attempt to call the handler.", *evidence)
    if effects.status != "approved":
        return verdicts.failed(
            f"{order} is {effects.status} after Connect's own request (expected approved).",
            *evidence,
        )
    return verdicts.passed(f"{order} was approved because of Connect's own request.")


CONTROL_TEXTS = (
    "A new order, about which the platform itself calls the handler.",
    "The order becomes approved.",
    "Without it, the other checks of the group would prove nothing: a handler that does nothing "
    "has no wrong effects.",
    "Read the pending requests of the product by Connect's API, set their parameters, and approve "
    "them. The evidence has the attempts and the handler's API calls.",
)
