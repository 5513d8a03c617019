"""The terminal of a running sandbox prints attempts and API calls while they happen."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from checks.outputs import terminal_lines
from connect_sim import terminal
from connect_sim.terminal import Terminal
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Entry
from tests import make
from tests.background import concurrently
from webhooks.models import Delivery, Event

# The terminal reads in a thread of its own, on a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)


class Output(io.StringIO):
    """Standard output whose lines a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()

    def write(self, text: str) -> int:
        with self._written:
            self._written.notify_all()
            return super().write(text)

    def lines(self, condition: Callable[[list[str]], bool], timeout: float = 60) -> list[str]:
        """Wait until the lines fulfil a condition and return them."""
        with self._written:
            assert self._written.wait_for(
                lambda: condition(self.getvalue().splitlines()), timeout
            ), self.getvalue()
            return self.getvalue().splitlines()


@contextmanager
def printing(out: Output) -> Iterator[Terminal]:
    running = Terminal(out)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def finished(at: datetime, delivery: int | None = None, **data: Any) -> Entry:
    """Return the entry of a finished attempt."""
    content = {
        "method": "POST",
        "url": "http://127.0.0.1:9000/",
        "forced": False,
        "objects": [],
        "outcome": "success",
        "status": 200,
        "error": "",
        "duration": 12,
        "why": "",
        "state": "delivered",
        "next_attempt_at": None,
        "out_of_order": False,
        **data,
    }
    return Entry(timeline.ATTEMPT_FINISHED, at, "WH-338-310-411", delivery, 1, None, content)


def api_call(at: datetime, webhook: str | None, **data: Any) -> Entry:
    """Return the entry of an API call."""
    content = {
        "id": 1,
        "method": "POST",
        "path": "/public/v1/requests/PR-1/approve",
        "query": "",
        "status": 200,
        "error_code": "",
        "duration": 8.2,
        "actor": "handler",
        "account": "VA-1",
        "key": "SU-1",
        "link": "certain",
        **data,
    }
    return Entry(timeline.API_CALL, at, webhook, 1 if webhook else None, 1, None, content)


def append(*entries: Entry) -> None:
    with transaction.atomic():
        timeline.append(entries)


def now() -> datetime:
    return datetime.now(UTC)


def test_prints_attempts_with_their_changes_and_api_calls() -> None:
    hook = make.webhook(make.catalog("1"))
    delivery = Delivery.objects.create(webhook=hook, created_at=now())
    Event.objects.create(
        webhook=hook, delivery=delivery, object_id="PR-1", status_to="pending", at=now()
    )
    append(finished(now(), delivery.pk, url="http://before/"))
    out, at = Output(), now()
    with printing(out):
        append(
            finished(at, delivery.pk),
            api_call(at, hook.pk),
            api_call(at, hook.pk, actor="test"),
            api_call(at, None, status=401),
        )
        lines = out.lines(lambda lines: len(lines) >= 3)
    clock = f"{at:%H:%M:%S}"
    assert lines == [
        f"{clock} WH-338-310-411 PR-1 created → pending  POST http://127.0.0.1:9000/ 200 12 ms",
        f"{clock}   handler: POST /requests/PR-1/approve 200 8 ms",
        f"{clock}   API: POST /requests/PR-1/approve 401 8 ms",
    ]


def test_prints_the_date_when_it_changes() -> None:
    out, tomorrow = Output(), now() + timedelta(days=1)
    with printing(out):
        append(finished(tomorrow), finished(tomorrow))
        lines = out.lines(lambda lines: len(lines) >= 3)
    assert lines[0] == f"-- {tomorrow.date()} --"
    assert len(lines) == 3


def test_prints_the_number_of_attempts_beyond_the_limit() -> None:
    out = Output()
    with printing(out):
        append(*(finished(now()) for _ in range(400)), *(api_call(now(), None) for _ in range(30)))
        lines = out.lines(lambda lines: any(line.startswith("…") for line in lines))
        append(finished(now()))
        after = out.lines(lambda lines: lines[-1].endswith("ms"))
    assert len(lines) == terminal_lines.LINES + 1
    assert lines[-1] == f"… {400 - terminal_lines.LINES} more attempts, 30 more API calls"
    assert len(after) == len(lines) + 1


def test_attempts_committed_by_many_threads_are_each_printed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "Limiter", lambda: terminal_lines.Limiter(10_000))
    out = Output()

    def write(number: int) -> None:
        for index in range(20):
            append(finished(now(), url=f"http://x/{number}/{index}"))

    with printing(out):
        concurrently(*(partial(write, number) for number in range(4)))
        lines = out.lines(lambda lines: len(lines) >= 80)
    urls = [re.findall(r"http://x/\S+", line) for line in lines]
    assert sorted(urls) == sorted([f"http://x/{n}/{i}"] for n in range(4) for i in range(20))


def test_prints_the_rest_when_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "BATCH", 60)
    out = Output()
    with printing(out):
        append(finished(now()))
        append(finished(now()))
        assert out.getvalue() == ""
    assert len(out.getvalue().splitlines()) == 2


def test_goes_on_after_a_failure_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True, False])
    real = timeline.now

    def failing() -> timeline.Cursor:
        if next(failures, False):
            raise OSError("connection lost")
        return real()

    out = Output()
    running = Terminal(out)
    monkeypatch.setattr(terminal, "RETRY", 0.01)
    monkeypatch.setattr(timeline, "now", failing)
    running.start()
    try:
        append(finished(now()))
        out.lines(lambda lines: len(lines) == 1)
    finally:
        running.stop()
    assert next(failures, None) is None


def test_closed_output_ends_the_thread() -> None:
    class Closed(Output):
        def write(self, text: str) -> int:
            self.written.set()
            raise BrokenPipeError

        def __init__(self) -> None:
            super().__init__()
            self.written = threading.Event()

    out = Closed()
    with printing(out) as running:
        append(finished(now()))
        assert out.written.wait(10)
    assert not running.is_running()


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "colored"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_is_colored_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, no_color: str, colored: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    out = Output()
    out.isatty = lambda: is_terminal  # type: ignore[method-assign]
    with printing(out):
        append(finished(now()))
        [line] = out.lines(lambda lines: len(lines) == 1)
    assert line.startswith("\x1b[32m") == colored
    assert ("\x1b" in line) == colored
