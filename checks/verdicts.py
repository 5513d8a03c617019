"""Verdicts that many checks share, with their evidence."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from checks import causes
from checks.handler_requests import Reply, SentRequest
from checks.history import Effects, History
from checks.outcomes import Exhibit, Outcome, Verdict

_SHOWN = 400  # characters of a body
_TOKEN_HEADERS = ("authentication", "authorization")


def passed(text: str, *evidence: Exhibit) -> Verdict:
    return Verdict(Outcome.PASS, text, evidence)


def failed(text: str, *evidence: Exhibit, cause: str = "") -> Verdict:
    """Return a failure; `cause` is one of `causes` that it may share with others."""
    return Verdict(Outcome.FAIL, text, evidence, cause)


def inconclusive(text: str, *evidence: Exhibit) -> Verdict:
    """Return an outcome that proves nothing."""
    return Verdict(Outcome.INCONCLUSIVE, text, evidence)


def void(text: str, *evidence: Exhibit) -> Verdict:
    """Return an outcome that proves nothing, because what was to be seen didn't happen."""
    return Verdict(Outcome.INCONCLUSIVE, f"Void: {text}", evidence, causes.VOID)


def skipped(text: str) -> Verdict:
    """Return that a check was not run."""
    return Verdict(Outcome.SKIPPED, text)


# Evidence.


def request_exhibit(sent: SentRequest) -> Exhibit:
    """Return a request as evidence: tokens decoded, without their signatures."""
    lines = [sent.method]
    for name, value in sent.headers:
        if name.lower() in _TOKEN_HEADERS:
            lines += _token_lines(name, value)
        else:
            lines.append(f"{name}: {_cut(value)}")
    if isinstance(sent.body, bytes):
        lines += ["", _cut(sent.body.decode(errors="replace"))]
    elif sent.body is not None:
        lines += ["", "(a chunked body)"]
    return Exhibit("Request", tuple(lines))


def reply_exhibit(reply: Reply) -> Exhibit:
    """Return a response as evidence."""
    lines = [f"{reply.text} after {reply.seconds * 1000:.0f} ms"]
    if reply.body:
        lines.append(_cut(reply.body.decode(errors="replace")))
    return Exhibit("Response", tuple(lines))


def replies_exhibit(replies: Iterable[Reply]) -> Exhibit:
    """Return several responses as evidence: how many of each kind."""
    return Exhibit("Responses", tuple(_counted(reply.text for reply in replies)))


def effects_exhibit(effects: Effects, order: str) -> Exhibit:
    """Return what became of a request as evidence."""
    lines = [
        f"status: {effects.status}",
        f"filled parameters: {', '.join(sorted(effects.params)) or 'none'}",
        f"approve calls: {', '.join(_counted(map(str, effects.approvals))) or 'none'}",
    ]
    if effects.other_actions:
        lines.append(f"other actions: {', '.join(effects.other_actions)}")
    if effects.overwritten:
        lines.append(f"parameters with a second value: {', '.join(effects.overwritten)}")
    return Exhibit(order, tuple(lines))


def seconds(value: float) -> str:
    """Return a duration of real time for a sentence."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def plural(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ids(values: Iterable[str], shown: int = 3) -> str:
    """Return the first ids for a sentence."""
    found = list(values)
    more = f" and {len(found) - shown} more" if len(found) > shown else ""
    return ", ".join(found[:shown]) + more


# Judgements that several groups make.


def refused(
    sent: SentRequest, reply: Reply, happened: History, untouched: bool, what: str
) -> Verdict:
    """Judge a request that must be refused; `untouched` says that the order is as it was."""
    evidence = (request_exhibit(sent), reply_exhibit(reply), happened.exhibit())
    if happened.writes:
        call = happened.writes[0]
        text = f"Processed {what}: it called {call.method} {call.path}."
        return failed(text, *evidence, cause=causes.ACTED)
    if not untouched:
        text = f"Processed {what}: the order has changed."
        return failed(text, *evidence, cause=causes.ACTED)
    if reply.error:
        return failed(f"Gave no response to {what}: {reply.error}.", *evidence)
    if reply.is_success:
        return failed(
            f"Responded {reply.status} to {what}, as if it was accepted; it had no effect.",
            *evidence,
            cause=causes.HIDES,
        )
    return passed(f"Refused with {reply.status}, without an effect.")


def approved(
    sent: SentRequest, reply: Reply, happened: History, effects: Effects, order: str, what: str
) -> Verdict:
    """Judge a genuine request, whose order must be approved once."""
    evidence = (
        request_exhibit(sent),
        reply_exhibit(reply),
        effects_exhibit(effects, order),
        happened.exhibit(),
    )
    if effects.status != "approved":
        return failed(
            f"Responded {reply.text} to {what}, and {order} is {effects.status} afterwards "
            "(expected approved).",
            *evidence,
        )
    if not reply.is_success:
        return failed(f"Approved {order}, but responded {reply.text} to {what}.", *evidence)
    return once(effects, order, *evidence) or passed(
        f"{order} was approved once, in {seconds(reply.seconds)}."
    )


def without_refused_runs(replies: Sequence[Reply], happened: History) -> list[Reply]:
    """Return responses, without as many of 5xx as the API refused calls that change something.

    Of two runs at once the later one is refused; if it fails then, the platform calls again.
    """
    refused = sum(400 <= call.status < 500 for call in happened.writes)
    failed_runs = [reply for reply in replies if reply.status >= 500]
    return [*(reply for reply in replies if reply.status < 500), *failed_runs[refused:]]


def once(effects: Effects, order: str, *evidence: Exhibit) -> Verdict | None:
    """Return a failure if a request was seen to be processed more than once, or on a detour.

    A second approve call that was refused is none: what the run did before it can't be seen.
    """
    if effects.successful_approvals > 1:
        text = f"Approved {order} {effects.successful_approvals} times."
        return failed(text, *evidence, cause=causes.TWICE)
    if effects.overwritten:
        text = f"Sent a second value for {', '.join(effects.overwritten)} of {order}."
        return failed(text, *evidence, cause=causes.TWICE)
    if effects.other_actions:
        return failed(
            f"Called {', '.join(effects.other_actions)} on {order} on the way.", *evidence
        )
    return None


def _counted(texts: Iterable[str]) -> list[str]:
    """Return the different texts, each with its number."""
    return [f"{count} × {text}" for text, count in sorted(Counter(texts).items())]


def _token_lines(name: str, value: str) -> list[str]:
    scheme, _, token = value.partition(" ")
    parts = token.split(".")
    decoded = [_decoded(part) for part in parts[:2]]
    if len(parts) != 3 or None in decoded:
        return [f"{name}: {_cut(value)}"]
    signature = "(signature hidden)" if parts[2].strip() else "(no signature)"
    return [
        f"{name}: {scheme} …",
        f"    header: {json.dumps(decoded[0])}",
        f"    claims: {_cut(json.dumps(decoded[1]))}",
        f"    {signature}",
    ]


def _decoded(part: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return None


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
