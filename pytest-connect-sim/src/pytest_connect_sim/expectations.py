"""Expectations: they wait until a condition is true, and move simulated time meanwhile.

`connect_sim.expect(order).status("approved")` asks the sandbox to wait (`POST /sandbox/wait` with
`skip`), which answers as soon as the condition is true, or when nothing is left that could make it
true. An expectation that is not met raises ExpectationError with what happened instead.
"""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Union

from pytest_connect_sim.client import ApiError, Client
from pytest_connect_sim.literals import STATUSES, Status, TaskResult
from pytest_connect_sim.objects import prefix_of
from pytest_connect_sim.observer import Observer, name_of, settle

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]
Span = Union[str, timedelta]

TIMELINE = "Timeline since the test began:"
_NOT_MET = 408
_GRACE = 60.0  # seconds that a request may take beyond its timeout


class ExpectationError(AssertionError):
    """An expectation is not met: `sentence`, `details`, and what happened since the test began.

    `failure` is the same for a trace.
    """

    # As of pytest's own outcomes: reports show the name without it.
    __module__ = "builtins"

    def __init__(self, sentence: str, details: str, happened: str, failure: Json) -> None:
        self.failure = {**failure, "text": sentence, "evidence": []}
        self.summary = "\n".join(part for part in (sentence, details) if part)
        super().__init__(f"{self.summary}\n\n{happened}")
        self.sentence, self.happened = sentence, happened
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
        self, status: Status, *, within: Span | None = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that the object gets a status; raises ValueError if it can't have it."""
        condition = self._has_status("status", status)
        return self._wait(condition, f"{self._subject} to be {status}", within, timeout)

    def delivered(
        self,
        *,
        attempts_at_most: int | None = None,
        webhook: object = None,
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that a delivery succeeds, at the latest at that attempt."""
        about, phrase = self._about("delivered", webhook)
        condition = {"delivered": {**about, "attempts_at_most": attempts_at_most}}
        at_most = f" by attempt {attempts_at_most}" if attempts_at_most else ""
        return self._wait(condition, f"a successful request {phrase}{at_most}", within, timeout)

    def failed(
        self,
        *,
        webhook: object = None,
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that an attempt fails."""
        about, phrase = self._about("failed", webhook)
        return self._wait({"failed": about}, f"a failed request {phrase}", within, timeout)

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
        about, phrase = self._about("called", webhook)
        counts = {"times": times, "at_least": at_least, "at_most": at_most}
        condition = {"called": {**about, **counts}}
        words = {"times": "exactly", "at_least": "at least", "at_most": "at most"}
        given = [f"{words[name]} {value}" for name, value in counts.items() if value is not None]
        number = " and ".join(given) or "at least 1"
        text = f"{number} request{'' if number.endswith(' 1') else 's'} {phrase}"
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
        about, phrase = self._about("never_called", webhook)
        return self._never({"called": about}, f"no request {phrase}", within, timeout)

    def never_failed(
        self, *, within: Span, webhook: object = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that no attempt fails in the time span, once the sandbox is settled."""
        about, phrase = self._about("never_failed", webhook)
        return self._never({"failed": about}, f"no failed request {phrase}", within, timeout)

    def never_status(
        self, status: Status, *, within: Span, timeout: float | None = None
    ) -> Expectation:
        """Expect that the object doesn't get a status in the time span."""
        condition = self._has_status("never_status", status)
        return self._never(condition, f"{self._subject} not to be {status}", within, timeout)

    def out_of_order(
        self, *, within: Span | None = None, timeout: float | None = None
    ) -> Expectation:
        """Expect that the webhook gets out of order."""
        if name_of(self._subject) != "webhook" or not self._subject:
            raise TypeError(f"out_of_order is about a webhook, not {self._subject or 'nothing'}.")
        condition = {"out_of_order": self._subject}
        return self._wait(condition, f"{self._subject} to be out of order", within, timeout)

    def task(
        self,
        type: str | None = None,
        *,
        result: TaskResult = "success",
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that a task of an extension about the object ends, by default with success."""
        return self._task("task", type, f"to end with {result}", within, timeout, result=result)

    def rescheduled(
        self,
        type: str | None = None,
        *,
        within: Span | None = None,
        timeout: float | None = None,
    ) -> Expectation:
        """Expect that an extension reschedules a task about the object."""
        return self._task("rescheduled", type, "to be rescheduled", within, timeout)

    def idle(self, *, within: Span | None = None, timeout: float | None = None) -> Expectation:
        """Expect that no work is left: nothing due, in flight or planned."""
        return self._wait({"idle": True}, "the sandbox to be idle", within, timeout)

    # How they wait.

    def _task(
        self,
        name: str,
        type: str | None,
        phrase: str,
        within: Span | None,
        timeout: float | None,
        **more: str,
    ) -> Expectation:
        if not self._subject or name_of(self._subject) == "webhook":
            raise TypeError(f"{name} is about an object, not {self._subject or 'nothing'}.")
        about = {"object": self._subject, **more, **({"type": type} if type else {})}
        text = f"a task{f' {type}' if type else ''} about {self._subject} {phrase}"
        return self._wait({name: about}, text, within, timeout)

    def _never(
        self, condition: Json, text: str, within: Span, timeout: float | None
    ) -> Expectation:
        settle(self._client, self._seconds(timeout))
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
        body: Json = {"until": condition, "skip": skip, "timeout": seconds}
        if since is not None:
            body["since"] = since or self._observer.since
        if within is not None:
            body["within"] = span_text(within)
        try:
            self._client.call("POST", "/sandbox/wait", body, timeout=seconds + _GRACE)
        except ApiError as error:
            if error.status != _NOT_MET:
                raise
            answer = error.body
        else:
            return True
        self._fail(self._error(text, body, answer))
        return False

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else timeout

    def _about(self, method: str, webhook: object) -> tuple[Json, str]:
        """Return which requests to handlers are meant, as a condition and as a phrase."""
        if not self._subject:
            raise TypeError(f"{method} needs a webhook or an object: expect(webhook).")
        about = {name_of(self._subject): self._subject}
        if webhook is not None:
            about["webhook"] = str(webhook)
        words = {"webhook": "to", "object": "about"}
        return about, " ".join(f"{words[name]} {about[name]}" for name in words if name in about)

    def _has_status(self, method: str, status: str) -> Json:
        if not self._subject or name_of(self._subject) == "webhook":
            raise TypeError(f"{method} is about an object, not {self._subject or 'nothing'}.")
        known = STATUSES[prefix_of(self._subject)]
        if status not in known:
            available = ", ".join(known) or "none"
            raise ValueError(
                f"Unknown status {status!r} of {self._subject}. Available: {available}."
            )
        return {"status": {"object": self._subject, "is": status}}

    def _error(self, text: str, body: Json, answer: Json) -> ExpectationError:
        stopped = answer["stopped_because"]
        limit, joint = "", "; "
        if "never" in body["until"]:
            limit = f" within {body['within']}"
            joint = ", but " if stopped == "impossible" else f"; after {body['timeout']:g} s "
        elif stopped == "within":
            limit = f" within {body['within']}"
        elif stopped == "timeout" and body["timeout"]:
            limit = f" within {body['timeout']:g} s"
        own = f"{self._subject} "
        reasons = "; ".join(
            f"it {each[len(own) :]}" if self._subject and each.startswith(own) else each
            for each in answer["reasons"]
        )
        # Webhooks are not called about subscriptions, but about their requests.
        about = "" if prefix_of(self._subject) == "AS" else self._subject
        details = self._observer.safely("failed_attempt", about)
        if stopped == "idle":
            details.append("Nothing is left that could make it true: the sandbox is idle.")
        parts = (
            ("Nearest to it:", [_miss(each) for each in answer["near_misses"]]),
            ("Still to happen:", [f"  {each['text']}" for each in answer["unsettled"]]),
            ("The handler's last API error:", self._observer.safely("last_api_error")),
            ("Remarkable:", self._observer.safely("notes", about)),
        )
        for title, found in parts:
            if found:
                details += ["", title, *found]
        happened = [TIMELINE, *self._observer.safely("report")]
        sentence = " ".join(f"Expected {text}{limit}{joint}{reasons}.".split())
        failure: Json = {"object": None, "webhook": None}
        if self._subject:
            failure[name_of(self._subject)] = self._subject
        failure |= {name: answer[name] for name in ("reasons", "near_misses")}
        return ExpectationError(sentence, "\n".join(details), "\n".join(happened), failure)


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
