"""Expectations: they wait until a condition is true, and move simulated time meanwhile.

`connect_sim.expect(order).status("approved")` asks the sandbox to wait (`POST /sandbox/wait` with
`skip`), which answers as soon as the condition is true. An expectation that is not met raises
ExpectationError with what happened instead.
"""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Union

from pytest_connect_sim.client import Client
from pytest_connect_sim.observer import Observer, name_of, settle
from pytest_connect_sim.waiting import wait

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]
Span = Union[str, timedelta]

TIMELINE = "Timeline since the test began:"


class ExpectationError(AssertionError):
    """An expectation is not met: `summary`, and what happened since the test began."""

    def __init__(self, summary: str, happened: str) -> None:
        super().__init__(f"{summary}\n\n{happened}")
        self.summary, self.happened = summary, happened
        self.place = _place()


class Expectation:
    """What is expected of an object of a queue, a subscription or a webhook.

    Each method waits, and returns the expectation, so that they can be chained. `timeout` is in
    seconds of real time, `within` a span of simulated time, such as `1h`.
    """

    def __init__(
        self,
        client: Client,
        observer: Observer,
        subject: str,
        timeout: float,
        fail: Callable[[ExpectationError], None],
    ) -> None:
        self._client, self._observer = client, observer
        self._subject, self._timeout, self._fail = subject, timeout, fail

    def __repr__(self) -> str:
        return f"<Expectation {self._subject or 'of the sandbox'}>"

    def status(
        self, status: str, *, within: Span | None = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that the object gets a status."""
        self._object_only("status")
        condition = {"status": {"object": self._subject, "is": status}}
        return self._wait(condition, f"to have status {status}", within, timeout)

    def delivered(
        self,
        *,
        attempts_at_most: int | None = None,
        webhook: object = None,
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that a delivery succeeds, at the latest at that attempt."""
        limit = {"attempts_at_most": attempts_at_most}
        condition = {"delivered": {**self._about("delivered", webhook), **limit}}
        at_most = f" in at most {attempts_at_most} attempts" if attempts_at_most else ""
        return self._wait(condition, f"to be delivered{at_most}", within, timeout)

    def failed(
        self,
        *,
        webhook: object = None,
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that an attempt fails."""
        condition = {"failed": self._about("failed", webhook)}
        return self._wait(condition, "to have a failed attempt", within, timeout)

    def called(
        self,
        times: int | None = None,
        *,
        at_least: int | None = None,
        at_most: int | None = None,
        webhook: object = None,
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that the handler is called, by default at least once.

        With `times` or `at_most`, the number of calls must also be right when the sandbox is
        settled afterwards.
        """
        counts = {"times": times, "at_least": at_least, "at_most": at_most}
        condition = {"called": {**self._about("called", webhook), **counts}}
        given = ", ".join(f"{n}={v}" for n, v in counts.items() if v is not None)
        text = f"to be called ({given or 'at least once'})"
        # "At most" alone is true at once: it is only judged at the end.
        is_enough = times is None and at_least is None and at_most is not None
        is_met = is_enough or self._is_met(condition, text, within, timeout)
        if is_met and (times is not None or at_most is not None):
            settle(self._client, self._seconds(timeout))
            self._is_met(condition, text, None, 0, skip=False)
        return self

    def never_called(
        self, *, within: Span, webhook: object = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that the handler is not called in the time span, once the sandbox is settled."""
        condition = {"called": self._about("never_called", webhook)}
        return self._never(condition, "never to be called", within, timeout)

    def never_failed(
        self, *, within: Span, webhook: object = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that no attempt fails in the time span, once the sandbox is settled."""
        condition = {"failed": self._about("never_failed", webhook)}
        return self._never(condition, "never to have a failed attempt", within, timeout)

    def never_status(
        self, status: str, *, within: Span, timeout: float | None = None
    ) -> Expectation:
        """Expect that the object doesn't get a status in the time span."""
        self._object_only("never_status")
        condition = {"status": {"object": self._subject, "is": status}}
        return self._never(condition, f"never to have status {status}", within, timeout)

    def out_of_order(
        self, *, within: Span | None = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that the webhook gets out of order."""
        if name_of(self._subject) != "webhook" or not self._subject:
            raise TypeError(f"out_of_order is about a webhook, not {self._subject or 'nothing'}.")
        condition = {"out_of_order": self._subject}
        return self._wait(condition, "to be out of order", within, timeout)

    def idle(self, *, within: Span | None = None, timeout: float | None = None) -> Expectation:
        """Expect that no work is left: nothing due, in flight or planned."""
        return self._wait({"idle": True}, "to be idle", within, timeout)

    # How they wait.

    def _never(
        self, condition: Json, text: str, within: Span, timeout: float | None
    ) -> Expectation:
        settle(self._client, self._seconds(timeout))
        text = f"{text} within {span_text(within)}"
        self._is_met({"never": condition}, text, within, timeout, since=None)
        return self

    def _wait(
        self, condition: Json, text: str, within: Span | None, timeout: float | None
    ) -> Expectation:
        self._is_met(condition, text, within, timeout)
        return self

    def _is_met(
        self,
        condition: Json,
        text: str,
        within: Span | None,
        timeout: float | None,
        *,
        skip: bool = True,
        since: str | None = "",
    ) -> bool:
        """Wait for a condition; `since` None counts from now on. Report a failure."""
        seconds = self._seconds(timeout)
        body: Json = {"until": condition, "skip": skip}
        if since is not None:
            body["since"] = since or self._observer.since
        if within is not None:
            body["within"] = span_text(within)
        answer = wait(self._client, body, seconds)
        if answer is None:
            return True
        self._fail(self._error(text, answer))
        return False

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else timeout

    def _about(self, method: str, webhook: object) -> Json:
        if not self._subject:
            raise TypeError(f"{method} needs a webhook or an object: expect(webhook).")
        about = {name_of(self._subject): self._subject}
        if webhook is not None:
            about["webhook"] = str(webhook)
        return about

    def _object_only(self, method: str) -> None:
        if not self._subject or name_of(self._subject) == "webhook":
            raise TypeError(f"{method} is about an object, not {self._subject or 'nothing'}.")

    def _error(self, text: str, answer: Json) -> ExpectationError:
        subject = self._subject or "the sandbox"
        lines = [f"Expected {subject} {text}.", *answer["errors"]]
        # Attempts before the cursor are those of other tests.
        misses = [
            _miss(each)
            for each in answer["near_misses"]
            if all(point["field"] != "since" for point in each["differs"])
        ]
        parts = (
            ("Nearest to it:", misses),
            ("Still to happen:", [f"  {each['text']}" for each in answer["unsettled"]]),
            ("The handler's last API error:", self._observer.safely("last_api_error")),
            ("Remarkable:", self._observer.safely("notes", self._subject)),
        )
        for title, found in parts:
            if found:
                lines += ["", title, *found]
        happened = [TIMELINE, *self._observer.safely("report")]
        return ExpectationError("\n".join(lines), "\n".join(happened))


def _place() -> str:
    """Return file and line of the caller outside of this package."""
    frame = inspect.currentframe()
    assert frame is not None
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("pytest_connect_sim."):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def span_text(span: Span) -> str:
    """Return a span of simulated time as the API reads it."""
    if isinstance(span, timedelta):
        return f"{span.total_seconds():g}s"
    return span


def _miss(miss: Json) -> str:
    about = miss["object"] or miss["webhook"] or "something"
    if miss["delivery"] is not None:
        attempt = f", attempt {miss['attempt']}" if miss["attempt"] is not None else ""
        about = f"{about} (delivery {miss['delivery']}{attempt})"
    points = "; ".join(
        f"{each['field']}: expected {each['expected']}, was {each['actual']}"
        for each in miss["differs"]
    )
    return f"  {about}: {points}"
