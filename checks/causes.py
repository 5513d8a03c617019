"""What failures of several checks have in common: a fact about the handler that is said once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from checks.outcomes import Outcome

if TYPE_CHECKING:
    from checks.model import Result

# What checks see; `named` says what it shows together with the others.
ACTED = "Acts on requests that are not Connect's."
FOREIGN = "Acts on requests about another product."
HIDES = "Responds with success to requests that it refuses."
VALIDATES = "Responds with success to drafts that are not Connect's."
TWICE = "Processes an order twice."
STOPS = "Takes its work for done although a call of the API has failed."
# The cause of a verdict that proves nothing, because what was to be seen didn't happen.
VOID = "void"
# What a timer of the handler may do as well.
EFFECTS = (ACTED, FOREIGN)

NO_TOKEN = "Verifies no token: it acts on requests without one."
NO_SIGNATURE = "Verifies no signature: it acts on tokens that anybody can make."
NO_EXPIRY = "Doesn't verify when a token expires."
AT_ONCE = "Processes an order twice when two requests arrive at once."

_WITHOUT_TOKEN = {"auth.no_header", "auth.empty_header"}
_UNSIGNED = {"auth.garbage", "auth.other_secret", "auth.no_signature", "auth.other_webhook"}
# It sends forged requests of all kinds.
_ALL_KINDS = "effects.forged_none"
_TOGETHER = {
    "delivery.twice_at_once",
    "delivery.burst_10",
    "delivery.burst",
    "effects.approved_once",
    "effects.one_run",
    "race.same_request",
    "race.stale_read",
    "speed.connections_100",
}


def named(results: Iterable[Result]) -> list[Result]:
    """Return the results of a run with the causes that several of them share, others with none."""
    found = list(results)
    acted = {
        each.check.id
        for each in found
        if each.verdict.outcome is Outcome.FAIL and each.verdict.cause == ACTED
    }
    causes = [_cause(each, acted) for each in found]
    return [
        replace(each, verdict=replace(each.verdict, cause=cause if causes.count(cause) > 1 else ""))
        for each, cause in zip(found, causes, strict=True)
    ]


def _cause(result: Result, acted: set[str]) -> str:
    pk, cause = result.check.id, result.verdict.cause
    if result.verdict.outcome is not Outcome.FAIL:
        return ""
    if cause == TWICE:
        return AT_ONCE if pk in _TOGETHER else ""
    if cause != ACTED:
        return cause
    # What verifies nothing of a token doesn't verify its signature and expiry either.
    if acted & _WITHOUT_TOKEN:
        return NO_TOKEN
    if acted & _UNSIGNED:
        return NO_SIGNATURE
    expired = {each for each in acted if each.startswith("token.")}
    return NO_EXPIRY if pk in expired or (pk == _ALL_KINDS and expired) else ""
