"""Orders of a check, from their creation to the judgement that each was processed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from checks import history, verdicts
from checks.handler_requests import Reply, SentRequest
from checks.history import Effects, History
from checks.lab import Lab
from checks.outcomes import Exhibit, Outcome, Verdict

# Milliseconds by which responses to reads come later, so that runs at the same time have all read
# before the first of them writes.
_DELAY = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """Pending orders with the values that they had, and the moment before anything was sent."""

    lab: Lab
    orders: tuple[str, ...]
    before: Mapping[str, Mapping[str, str]]
    mark: str

    def after_work(self, replies: Sequence[Reply]) -> History:
        """Wait until the orders are processed, and return what has happened since the mark."""
        return self.lab.after_work(self.mark, replies, self.orders)

    def effects(self, happened: History) -> dict[str, Effects]:
        """Return what became of each order."""
        now = self.lab.platform.requests_by_id(self.orders)
        return {
            order: history.effects(happened, now[order], self.before[order])
            for order in self.orders
        }

    def processed_once(
        self,
        sent: SentRequest,
        replies: Sequence[Reply],
        happened: History,
        text: str,
        *,
        judged: Sequence[Reply] | None = None,
    ) -> Verdict:
        """Judge that each order was approved once, and each request accepted.

        `text` is the sentence of the pass; `judged` are the replies that must be a success, by
        default all of them.
        """
        effects = self.effects(happened)
        basis = (
            verdicts.request_exhibit(sent),
            verdicts.replies_exhibit(replies),
            happened.exhibit(),
        )
        pending = [order for order in self.orders if effects[order].status != "approved"]
        if pending:
            return verdicts.failed(
                f"{verdicts.ids(pending)}: {effects[pending[0]].status} (expected approved).",
                verdicts.effects_exhibit(effects[pending[0]], pending[0]),
                *basis,
            )
        for order in self.orders:
            exhibits = (verdicts.effects_exhibit(effects[order], order), *basis)
            if verdict := verdicts.once(effects[order], order, *exhibits):
                return verdict
        return _accepted(replies if judged is None else judged, basis) or verdicts.passed(text)

    def process(self, text: str = "") -> Verdict:
        """Send a genuine request, and judge that each order was approved once because of it."""
        sent = self.lab.genuine()
        replies = [self.lab.send(sent)]
        return self.processed_once(sent, replies, self.after_work(replies), text)

    def untouched(
        self,
        sent: SentRequest,
        replies: Sequence[Reply],
        happened: History,
        what: str,
        text: str,
        *,
        cause: str = "",
    ) -> Verdict:
        """Judge that nothing has become of the orders; `text` is the sentence of the pass."""
        evidence = (
            verdicts.request_exhibit(sent),
            verdicts.replies_exhibit(replies),
            happened.exhibit(),
        )
        now = self.lab.platform.requests_by_id(self.orders)
        for order in self.orders:
            writes = [call for call in happened.about(order) if not call.is_read]
            if writes:
                text = f"Called {writes[0].method} {writes[0].path} because of {what}."
                return verdicts.failed(text, *evidence, cause=cause)
            values = history.filled(now[order])
            if now[order]["status"] not in history.UNTOUCHED or values != self.before[order]:
                text = f"Changed {order} because of {what}."
                return verdicts.failed(text, *evidence, cause=cause)
        return verdicts.passed(text)


def create(lab: Lab, count: int = 1, product: str = "") -> Batch:
    """Create pending orders."""
    return of(lab, lab.orders(count, product))


def of(lab: Lab, orders: Sequence[str]) -> Batch:
    """Return a batch of pending orders."""
    now = lab.platform.requests_by_id(orders)
    before = {order: history.filled(now[order]) for order in orders}
    return Batch(lab, tuple(orders), before, lab.mark())


def joined(first: Batch, second: Batch) -> Batch:
    """Return the orders of two batches as one."""
    before = {**first.before, **second.before}
    return Batch(first.lab, first.orders + second.orders, before, first.mark)


@dataclass(slots=True)
class SlowReads:
    """Delayed responses of the API; `fired` is how many there were, known after the block."""

    fired: int = 0

    def checked(self, verdict: Verdict) -> Verdict:
        """Return a verdict, void if it is a pass although no response was delayed."""
        if verdict.outcome is Outcome.PASS and not self.fired:
            return verdicts.void("the handler read nothing from the API that could come later.")
        return verdict


@contextmanager
def slow_reads(lab: Lab, times: int) -> Iterator[SlowReads]:
    """Let the API's responses to a number of reads come later, for a block.

    What a handler does at the same time then overlaps for certain, and not by chance.
    """
    slowed = SlowReads()
    scope = {"side": "api", "method": "GET", "times": times}
    with lab.platform.fault("latency", {"ms": _DELAY}, **scope) as fault:
        yield slowed
        slowed.fired = fault.fired


def _accepted(replies: Sequence[Reply], evidence: tuple[Exhibit, ...]) -> Verdict | None:
    """Return a failure if a request was not answered by success."""
    wrong = [reply for reply in replies if not reply.is_success]
    if not wrong:
        return None
    of_all = f" to {len(wrong)} of {len(replies)} requests" if len(replies) > 1 else ""
    if wrong[0].error:
        return verdicts.failed(f"Gave no response{of_all}: {wrong[0].error}.", *evidence)
    return verdicts.failed(f"Responded {wrong[0].text}{of_all} (expected 2xx).", *evidence)
