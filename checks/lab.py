"""A sandbox and one handler, as a check uses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from checks import history, purchases, timing
from checks.handler_process import HandlerProcess
from checks.handler_requests import Body, Handler, Headers, Reply, SentRequest
from checks.history import Call, Effects, History
from checks.options import Options
from checks.platform import PATIENCE, WAITED, ArmedFault, Json, Platform
from checks.timing import Budget, Timing
from checks.tokens import Signer
from webhooks.delivery import request

JSON_TYPE = ("Content-Type", "application/json")
TOKEN_HEADERS = ("Authentication", "Authorization")
PARALLEL = 120  # requests that a check may send at once
_SLICE = 2.0  # seconds until the next look whether the handler has died
# Seconds without a call after an order is approved, before the handler's gaps are known.
_QUIET = 0.5
# Seconds in which a handler that has looked for work by itself looks again, if it does so often.
_AGAIN = 3.0


@dataclass(slots=True)
class Lab:
    """A sandbox and one handler, as a check uses them.

    The handler's webhook of `product` is inactive: queue changes don't call the handler unless a
    check activates it. `other` signs for another product with the same secret, `stranger` for
    another webhook of the same product with a secret of its own; nobody has told the handler it.
    """

    platform: Platform
    handler: Handler
    signer: Signer
    other: Signer
    stranger: Signer
    method: str = "POST"
    options: Options = field(default_factory=Options)
    is_deep: bool = False
    # A value that a validator refuses, by the parameter's name.
    invalid: Mapping[str, str] = field(default_factory=dict)
    # None also if the product has no drafts to validate.
    validator: Signer | None = None
    process: HandlerProcess | None = None
    # The cursor of a moment after which only `measure` has called the handler.
    measured_since: str = ""
    timing: Timing = timing.UNKNOWN
    budget: Budget = field(default_factory=Budget)
    # Restores the sandbox as it was when the check began; the lane sets it.
    start_over: Callable[[], None] = field(default=lambda: None, repr=False)
    # Measurements that several checks use, by a name.
    shared: dict[str, object] = field(default_factory=dict)

    @property
    def product(self) -> str:
        """The id of the product whose requests the handler processes."""
        return self.signer.product_id

    @property
    def webhook(self) -> str:
        """The id of the handler's webhook."""
        return self.signer.webhook_id

    def word(self) -> str:
        """Draw a word, which depends on the run's seed, the check and the draws before."""
        return purchases.word(self.platform.random)

    # Orders.

    def order(self, product: str = "") -> str:
        """Create a pending purchase and return its id."""
        return self.platform.order(product or self.product)

    def orders(self, count: int, product: str = "") -> list[str]:
        """Create pending purchases, and return their ids in order of creation."""
        return [self.order(product) for _ in range(count)]

    def values(self, order: str) -> dict[str, str]:
        """Return the parameters of a request that have a value."""
        return history.filled(self.platform.request(order))

    def status(self, order: str) -> str:
        return str(self.platform.request(order)["status"])

    # Requests to the handler.

    def genuine(
        self,
        *,
        token: str = "",
        method: str = "",
        headers: Headers = (),
        body: Body = None,
        token_headers: Sequence[str] = TOKEN_HEADERS,
        changes: Mapping[str, Any] | None = None,
        signer: Signer | None = None,
    ) -> SentRequest:
        """Return a request as Connect sends it, with some parts replaced.

        `changes` replaces or adds keys of the payload, in the body as well as in the token.
        """
        by = signer or self.signer
        payload = {**by.payload(), **(changes or {})}
        bearer = f"Bearer {token or by.token(by.claims(**payload))}"
        method = method or self.method
        if body is None and method == "POST":
            body = request.encode_payload(payload)
        fields = [JSON_TYPE, *((name, bearer) for name in token_headers)]
        replaced = {name.lower() for name, _ in headers}
        kept = [pair for pair in fields if pair[0].lower() not in replaced]
        return SentRequest(method, (*kept, *headers), body)

    def send(
        self,
        sent: SentRequest | None = None,
        timeout: float | None = None,
        connection: HTTPConnection | None = None,
    ) -> Reply:
        """Send a request, by default a genuine one, and return what came back."""
        used = sent if sent is not None else self.genuine()
        with self.budget.wait(timeout or self.timing.deadline) as seconds:
            return self.handler.send(used, seconds, connection)

    def send_together(
        self, requests: Sequence[SentRequest], timeout: float | None = None
    ) -> list[Reply]:
        """Send requests at the same time, each on a connection of its own."""
        with ThreadPoolExecutor(min(PARALLEL, len(requests))) as pool:
            return list(pool.map(lambda sent: self.send(sent, timeout), requests))

    def begin(self, sent: SentRequest | None = None, timeout: float | None = None) -> Pending:
        """Send a request in a thread, and return at once."""
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.send, sent if sent is not None else self.genuine(), timeout)
        pool.shutdown(wait=False)
        return Pending(future.result, future.done)

    # Deliveries by the platform.

    def activate(self, webhook: str = "", **values: Any) -> None:
        """Let queue changes call the handler."""
        self.platform.update_webhook(webhook or self.webhook, active=True, **values)

    def deactivate(self, webhook: str = "") -> None:
        """Let queue changes call the handler no more."""
        self.platform.update_webhook(webhook or self.webhook, active=False)

    def renew(self) -> None:
        """Restore the sandbox, and start the handler again, which may be damaged."""
        if self.process:
            self.process.stop()
        self.start_over()

    def next_attempts(self, patience: float = PATIENCE) -> list[str]:
        """Move to what the platform sends next and through it; return the outcomes."""
        moved = self.platform.next_attempt(self.timing.quiet, patience)
        return [each["outcome"] for each in moved["attempts"]]

    def expected(self, orders: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """Return the orders that the handler has to process, of some with their statuses then."""
        return orders

    # What happened.

    def mark(self) -> str:
        """Return the present, to ask for what happens after it."""
        return self.platform.cursor()

    def settle(self, quiet: float | None = None, patience: float = PATIENCE) -> None:
        """Wait until the handler has made no API call for a while; runs what is due."""
        pause = quiet if quiet is not None else self.timing.quiet
        # The sandbox doesn't know of requests that it has not sent itself.
        with self.budget.wait(pause) as seconds:
            time.sleep(seconds)
        self.platform.settle(pause, patience)

    def wait_finished(self, orders: Sequence[str], timeout: float | None = None) -> bool:
        """Wait until no order is pending; return False at the timeout, by default `patience`.

        A handler that has ended by itself is waited for no longer.
        """
        deadline = time.monotonic() + (self.timing.patience if timeout is None else timeout)
        return all(
            self._wait_finished(orders[start : start + WAITED], deadline)
            for start in range(0, len(orders), WAITED)
        )

    def _wait_finished(self, orders: Sequence[str], deadline: float) -> bool:
        while True:
            left = max(0.0, deadline - time.monotonic())
            if self.platform.wait_finished(orders, min(left, _SLICE) if self.process else left):
                return True
            if time.monotonic() >= deadline or self._has_died():
                return False

    def _has_died(self) -> bool:
        return self.process is not None and bool(self.process.death)

    def wait_fired(self, mark: str, order: str, *faults: ArmedFault) -> None:
        """Wait until a fault has fired since the mark, or the order was processed without it.

        A handler may work long after its response.
        """
        ids = {fault.id for fault in faults}

        def is_it(entry: Json) -> bool:
            if entry["kind"] == "fault":
                return entry["data"]["id"] in ids
            return bool(entry["object"] == order and entry["data"]["to"] != "pending")

        self.wait_entry(mark, "fault,change", self.timing.patience, is_it)

    def wait_entry(
        self,
        mark: str,
        kinds: str,
        timeout: float,
        is_it: Callable[[Json], bool] = lambda entry: True,
    ) -> bool:
        """Wait until the timeline has such an entry after a moment; return False at the timeout.

        A handler that has ended by itself is waited for no longer.
        """
        deadline = time.monotonic() + timeout
        while True:
            # Also an interruption of the run is seen at the next call.
            seconds = min(max(0.0, deadline - time.monotonic()), _SLICE)
            entries, mark = self.platform.wait_entries(mark, kinds, seconds)
            if any(map(is_it, entries)):
                return True
            if time.monotonic() >= deadline or self._has_died():
                return False

    def since(self, mark: str) -> History:
        """Return what has happened after a moment."""
        return self.platform.history(mark)

    def after(self, mark: str, quiet: float | None = None) -> History:
        """Wait until the handler is quiet, and return what has happened since."""
        self.settle(quiet)
        return self.since(mark)

    def after_work(self, mark: str, replies: Sequence[Reply], orders: Sequence[str]) -> History:
        """Wait until the work for some orders is done, and return what has happened since.

        Only a response of success promises work, which may be done after it.
        """
        if any(reply.is_success for reply in replies):
            self.wait_finished(orders)
        return self.after(mark)

    def effects(self, order: str, happened: History, before: Mapping[str, str]) -> Effects:
        """Return what became of a request; `before` are its values before."""
        return history.effects(happened, self.platform.request(order), before)

    def wait_until_quiet(self, mark: str) -> None:
        """Wait until no API call has been made for a while, also if some wait for a response."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() <= deadline:
            calls, mark = self.platform.wait_entries(mark, "api_call", self.timing.quiet)
            if not calls:
                return

    # Measurements.

    def measure(self) -> tuple[Reply, Effects, History]:
        """Send a genuine request for one new order, and take the timing of the handler from it.

        If the response promises the work, this waits until the order is approved, and then for the
        end of the calls by the gaps between those until then.
        """
        by_itself = self._interval_by_itself()
        order = self.order()
        before = self.values(order)
        mark, began = self.mark(), time.time()
        reply = self.send()
        is_over = not reply.is_success or self._wait_for_work(order, mark)
        calls = self.platform.calls(mark)
        promised = reply.is_success and calls
        interval = by_itself or (self._interval(mark, began, reply, calls) if promised else 0.0)
        first = timing.measure(began, reply.seconds, calls, interval) if calls else self.timing
        quiet = max(first.quiet, 0.0 if interval else _QUIET)
        happened = self.after(mark, quiet) if is_over else self.since(mark)
        effects = self.effects(order, happened, before)
        # Without an approval, nothing shows how long the work takes.
        if happened.calls and effects.status == "approved":
            self.timing = timing.measure(began, reply.seconds, happened.calls, interval)
        return reply, effects, happened

    def _interval_by_itself(self) -> float:
        """Return the pause of a handler that looks for work often, called or not; else 0."""
        mark, calls = self.mark(), self.platform.calls(self.measured_since)
        if not calls:
            return 0.0
        silent_for = time.time() - max(call.began for call in calls)
        if not self.wait_entry(mark, "api_call", min(_AGAIN - silent_for, _AGAIN)):
            return 0.0
        # All of it, unless the handler dies: workers that have just started look once each.
        self.wait_for(lambda: False, _AGAIN)
        return timing.interval_of(self.platform.calls(self.measured_since), time.time())

    def _wait_for_work(self, order: str, mark: str) -> bool:
        """Wait until an order is finished; return False if that takes too long.

        A handler that polls may begin late.
        """
        deadline = time.monotonic() + timing.LONGEST_INTERVAL
        while not self.wait_finished([order], _SLICE):
            begins = [call.began for call in self.platform.calls(mark)]
            is_late = bool(begins) and time.time() - min(begins) > self.timing.deadline
            if is_late or time.monotonic() > deadline or self._has_died():
                return False
        return True

    def _interval(self, mark: str, began: float, reply: Reply, calls: Sequence[Call]) -> float:
        """Return the pause of a handler that polls, else 0; `calls` are those since the mark."""
        delay = min(call.began for call in calls) - began - reply.seconds
        if delay < 0:
            return 0.0
        earlier = [
            at for at in timing.looks(self.platform.calls(self.measured_since)) if at < began
        ]
        looks = timing.looks(calls)
        pause = looks[0] - earlier[-1] if earlier and looks else 0.0
        if delay > timing.BY_ITSELF and pause:
            return pause
        if delay <= timing.BY_ITSELF and not pause:
            # By a queue. A handler that polls is rarely called right before it looks.
            return 0.0

        def later() -> list[float]:
            return timing.looks(self.platform.calls(mark))[len(looks) :]

        # One with a queue, which looks once when it starts, doesn't look again.
        longest = pause + _AGAIN if pause else timing.LONGEST_INTERVAL
        self.wait_for(lambda: bool(later()), longest)
        again = later()
        return again[0] - looks[-1] if again and looks else 0.0

    def wait_for(self, is_true: Callable[[], bool], timeout: float) -> bool:
        """Wait until something is true; return whether it has become so in time.

        A handler that has ended by itself is waited for no longer.
        """
        deadline = time.monotonic() + timeout
        while not is_true():
            if time.monotonic() > deadline or self._has_died():
                return False
            self.budget.check()
            time.sleep(0.05)
        return True


@dataclass(frozen=True, slots=True)
class Pending:
    """A request in flight: `result` waits for what comes back."""

    result: Callable[..., Reply]
    is_done: Callable[[], bool]


def secrets_of(lab: Lab) -> set[str]:
    """Return what evidence must not show."""
    signers = [lab.signer, lab.other, lab.stranger, *([lab.validator] if lab.validator else [])]
    return {signer.secret for signer in signers} | (lab.process.secrets if lab.process else set())


__all__ = ["Json", "Lab", "Pending", "secrets_of"]
