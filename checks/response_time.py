"""How long a handler takes to respond, without the sandbox's own slowness, and what is too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from checks import verdicts
from checks.handler_requests import Reply, SentRequest
from checks.history import Call, History
from checks.lab import Lab
from checks.outcomes import Exhibit, Verdict
from checks.platform import SHORT_PATIENCE
from checks.timing import OutOfTime

# Seconds that count for a call of the API, whose real duration depends on the machine.
USUAL_CALL = 0.005
# If calls take so many seconds on average, the machine is too slow to judge a handler on it.
SLOW_CALL = 0.2
# A response that is later than so many times the limit isn't late because of the machine.
CLEARLY = 1.3


@dataclass(frozen=True, slots=True)
class Measured:
    """A response and what happened until then; `own` are seconds without the sandbox's slowness.

    `call` is the average of the API calls in seconds, 0 without any.
    """

    sent: SentRequest
    reply: Reply
    own: float
    call: float
    happened: History

    def exhibits(self) -> tuple[Exhibit, ...]:
        """Return the measurement as evidence."""
        lines = (
            f"response after {verdicts.seconds(self.reply.seconds)}",
            f"without the sandbox's own delays: {verdicts.seconds(self.own)}",
            f"API calls: {len(self.happened.calls)}, {self.call * 1000:.0f} ms on average",
        )
        return (
            Exhibit("Measured", lines),
            verdicts.request_exhibit(self.sent),
            verdicts.reply_exhibit(self.reply),
            self.happened.exhibit(),
        )


def measure(
    lab: Lab,
    sent: SentRequest,
    timeout: float,
    finish: Callable[[], object] = lambda: None,
    quiet: float | None = None,
) -> Measured:
    """Send a request and measure the response; `finish` waits for the work that goes on."""
    mark, began = lab.mark(), time.time()
    reply = lab.send(sent, timeout)
    # The response counts also if the time doesn't suffice for the work after it.
    with suppress(OutOfTime):
        # Another response than a success promises no work.
        if reply.is_success:
            finish()
        if reply.status:
            lab.settle(quiet, SHORT_PATIENCE)
    return measured(sent, began, reply, lab.since(mark))


def measured(sent: SentRequest, began: float, reply: Reply, happened: History) -> Measured:
    """Return the measurement of a response to a request sent at `began` (Unix time)."""
    own = own_seconds(began, reply.seconds, happened.calls)
    taken = [call.seconds for call in happened.calls]
    return Measured(sent, reply, own, sum(taken) / len(taken) if taken else 0.0, happened)


def shared(lab: Lab, name: str, measure: Callable[[], Measured]) -> Iterator[Measured]:
    """Yield the measurement of this name that several checks share, and then a new one."""
    if name not in lab.shared:
        lab.shared[name] = measure()
    yield cast(Measured, lab.shared[name])
    yield measure()


def own_seconds(began: float, seconds: float, calls: Iterable[Call]) -> float:
    """Return what a response took without the sandbox's slowness.

    `began` is Unix time. Of the time in which calls of the API ran, each call counts `USUAL_CALL`.
    """
    end, at, inside, count = began + seconds, began, 0.0, 0
    for call in sorted(calls, key=lambda call: call.began):
        start, stop = max(at, call.began), min(end, call.began + call.seconds)
        count += call.began < end
        inside += max(0.0, stop - start)
        at = max(at, stop)
    return seconds - max(0.0, inside - USUAL_CALL * count)


def within(limit: float, what: str, measurements: Iterable[Measured]) -> Verdict:
    """Judge responses that must come within `limit` seconds; the last one that is read counts.

    Another measurement is read only if the one before was a little late, and not if the time of the
    check doesn't suffice for it. Raises OutOfTime without time for the first one.
    """
    measured: Measured | None = None
    try:
        for measured in measurements:
            reply = measured.reply
            is_timeout = bool(reply.error) and reply.seconds >= limit
            if not is_timeout and not reply.is_success:
                return verdicts.failed(
                    f"Responded {reply.text} to {what} (expected 2xx)."
                    if reply.status
                    else f"Gave no response to {what}: {reply.error}.",
                    *measured.exhibits(),
                )
            if not is_timeout and measured.own <= limit:
                return verdicts.passed(f"Responded after {verdicts.seconds(measured.own)}.")
            if is_timeout or measured.own > CLEARLY * limit:
                break
    except OutOfTime:
        if measured is None:
            raise
    assert measured is not None
    return _late(limit, what, measured)


def _late(limit: float, what: str, measured: Measured) -> Verdict:
    took = verdicts.seconds(measured.own)
    if measured.own <= limit or measured.call > SLOW_CALL:
        return verdicts.inconclusive(
            f"The machine is too slow to judge: a call of the sandbox's API took "
            f"{measured.call * 1000:.0f} ms on average.",
            *measured.exhibits(),
        )
    if measured.reply.error:
        return verdicts.failed(
            f"Gave no response to {what} within {took} (expected within {limit:g} s).",
            *measured.exhibits(),
        )
    return verdicts.failed(
        f"Responded to {what} after {took} (expected within {limit:g} s).", *measured.exhibits()
    )
