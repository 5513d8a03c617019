"""Settle times learned from entries of the timeline, without a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.clock import settle_times
from sandbox.clock.settle_times import Learner

URL, OTHER = "http://127.0.0.1:9000/", "http://127.0.0.1:9001/"
START = datetime(2026, 11, 26, tzinfo=UTC)


@dataclass
class Entry:
    kind: str
    real_at: datetime
    delivery_id: int | None = None
    attempt: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def started(seconds: float, delivery: int = 1, url: str = URL, **data: Any) -> Entry:
    return Entry("attempt_started", at(seconds), delivery, 1, {"url": url, "type": "event", **data})


def finished(
    seconds: float, delivery: int = 1, url: str = URL, outcome: str = "success", **data: Any
) -> Entry:
    data = {"url": url, "type": "event", "outcome": outcome, **data}
    return Entry("attempt_finished", at(seconds), delivery, 1, data)


def called(seconds: float, delivery: int | None = 1, ms: float = 0, **data: Any) -> Entry:
    """Return an API call that began then; entries have the time of the end."""
    attempt = None if delivery is None else 1
    data = {"duration": ms, "actor": "handler", **data}
    return Entry("api_call", at(seconds + ms / 1000), delivery, attempt, data)


def fixed(ms: float | None, url: str = URL) -> Entry:
    return Entry("clock", at(0), data={"action": "settle", "url": url, "ms": ms})


def learn(*entries: Entry) -> Learner:
    learner = Learner()
    for entry in entries:
        learner.feed(entry)
    return learner


@pytest.mark.parametrize(
    ("entries", "seconds"),
    [
        ([], 1.0),
        ([started(0), finished(0.1)], 1.0),
        # From the response to the next call, twice.
        ([started(0), finished(0.1), called(0.5)], 0.8),
        ([finished(0.1), called(0.5)], 0.8),
        # Between two calls: from the end of the first.
        ([started(0), finished(0.1), called(0.2, ms=100), called(0.9, ms=50)], 1.2),
        ([started(0), called(0.1, ms=10), called(0.31, ms=10), finished(0.4)], 0.4),
        # The longest.
        ([finished(0), called(0.3), called(0.9), called(1.0)], 1.2),
        # Of several attempts at once, each its own.
        ([finished(0, 1), finished(2, 2), called(2.4, 2), called(0.3, 1)], 0.8),
        # From the response, though it was recorded later.
        ([started(0), finished(0.35, duration=10), called(0.41)], 0.8),
        ([finished(0.35, duration=10), called(0.41)], 0.12),
        # Limits.
        ([finished(0), called(0.001)], 0.05),
        ([finished(0), called(4)], 5.0),
        ([finished(0), called(10)], 5.0),
        # Longer is no reaction of the handler.
        ([finished(0), called(0.1), called(10.2)], 0.2),
        ([finished(0), called(10.1)], 1.0),
        # Calls that overlap, and a call before the response is recorded.
        ([started(0), called(0.1, ms=500), called(0.2, ms=10), finished(0.3)], 0.05),
        ([started(0), finished(0.3), called(0.29)], 0.05),
        # A single call during the request says nothing about the time afterwards.
        ([started(0), called(0.1), finished(0.2)], 1.0),
        # Calls that are nobody's reaction.
        ([finished(0), called(0.4, None)], 1.0),
        ([finished(0), called(0.4, 7)], 1.0),
        ([finished(0), called(0.4, actor="test")], 1.0),
        # Failed attempts and validators.
        ([started(0), finished(0.1, outcome="failure"), called(0.5)], 1.0),
        ([finished(0, type="validator"), called(0.4)], 1.0),
        ([finished(0, type="validator", forced=True), called(0.4)], 0.8),
        # Another handler's.
        ([finished(0, url=OTHER), called(0.4)], 1.0),
        # Fixed, and learned again.
        ([finished(0), called(0.4), fixed(300)], 0.3),
        ([fixed(0), finished(0), called(0.4)], 0.0),
        ([finished(0), called(0.4), fixed(300), fixed(None)], 1.0),
        ([fixed(300, OTHER), finished(0), called(0.4)], 0.8),
    ],
)
def test_settle_time_is_learned(entries: list[Entry], seconds: float) -> None:
    assert learn(*entries).settle_time(URL) == pytest.approx(seconds)


def test_default_replaces_what_was_learned_but_not_what_was_fixed() -> None:
    learner = learn(finished(0), called(0.4), fixed(300, OTHER))
    assert learner.settle_time(URL, 0.5) == 0.5
    assert learner.settle_time(OTHER, 0.5) == 0.3


def test_grace_period_is_longer_than_the_settle_time() -> None:
    assert learn().grace_period(URL) == 10
    learner = learn(finished(0), called(0.02), fixed(3000, OTHER))
    assert (learner.settle_time(URL), learner.grace_period(URL)) == (0.05, 10)
    assert (learner.grace_period(URL, 0.3), learner.grace_period(URL, 2)) == (1, 2)
    assert learner.grace_period(OTHER) == 3
    assert learn(finished(0), called(8)).grace_period(URL) == 16


def test_success_and_api_call_are_activities() -> None:
    learner = Learner()
    assert learner.feed(started(0)) is None
    activity = learner.feed(called(0.1, ms=100))
    assert activity is not None
    assert (activity.url, activity.attempt) == (URL, (1, 1))
    assert learner.feed(finished(0.3)) == activity
    for entry in (
        finished(0.4, outcome="failure"),
        finished(0.5, type="validator"),
        called(0.6, None),
        called(0.7, actor="test"),
        fixed(5),
    ):
        assert learner.feed(entry) is None


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle_times, "_ATTEMPTS", 3)
    monkeypatch.setattr(settle_times, "_URLS", 3)
    learner = Learner()
    for n in range(10):
        learner.feed(finished(n, n, f"http://127.0.0.1:{n}/"))
        learner.feed(called(n + 0.2, n))
    assert [learner.settle_time(f"http://127.0.0.1:{n}/") for n in (6, 7)] == [1.0, 0.4]
    assert learner.feed(called(10, 6)) is None


times = st.floats(0, 60, allow_nan=False)
entries = st.one_of(
    st.builds(started, times, st.integers(1, 3), st.sampled_from([URL, OTHER])),
    st.builds(
        finished, times, st.integers(1, 3), st.sampled_from([URL, OTHER]),
        st.sampled_from(["success", "failure", "unknown"]),
        type=st.sampled_from(["event", "validator"]), forced=st.booleans(),
    ),
    st.builds(called, times, st.one_of(st.none(), st.integers(1, 4)), st.floats(0, 5000)),
)  # fmt: skip


@given(st.lists(entries, max_size=30))
def test_settle_time_has_limits_and_never_becomes_shorter(log: Iterable[Entry]) -> None:
    learner, before = Learner(), 0.0
    for entry in log:
        learner.feed(entry)
        seconds = learner.settle_time(URL)
        assert seconds == settle_times.UNKNOWN or (
            settle_times.SHORTEST <= seconds <= settle_times.LONGEST
        )
        if URL in learner.gaps:
            assert seconds >= before
            before = seconds


@given(st.lists(entries, max_size=30))
def test_handlers_do_not_change_each_others_settle_times(log: list[Entry]) -> None:
    # Each delivery has one URL.
    mine = [e for e in log if e.delivery_id == 1]
    for entry in log:
        if "url" in entry.data:
            entry.data["url"] = URL if entry.delivery_id == 1 else OTHER
    assert learn(*log).gaps.get(URL) == learn(*mine).gaps.get(URL)
