"""Durations and times as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from requests_queue.time_format import format_ahead, format_moment, format_span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (-5, "0 s"), (0.0451, "45 ms"), (0.9994, "999 ms"), (0.9996, "1 s"),
        (1.24, "1.2 s"), (9, "9 s"), (59.94, "59.9 s"), (59.96, "1 min"), (299.99, "5 min"),
        (9600, "2 h 40 min"), (90061, "1 d 1 h"),
    ],
)  # fmt: skip
def test_span_is_written_in_its_largest_units(seconds: float, text: str) -> None:
    assert format_span(seconds) == text


def test_number_of_units_can_be_limited() -> None:
    assert format_span(90061, units=1) == "1 d"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (3599, "59 min 59 s"), (14397.6, "4 h"), (14402, "4 h"), (9660, "2 h 41 min")],
)
def test_seconds_that_moves_have_taken_are_not_shown_from_an_hour_on(
    seconds: float, text: str
) -> None:
    assert format_ahead(seconds) == text


def test_moment_is_written_in_utc() -> None:
    at = datetime(2026, 11, 26, 3, 42, 30, tzinfo=timezone(timedelta(hours=2)))
    assert format_moment(at) == format_moment(at.astimezone(UTC)) == "2026-11-26 01:42:30 UTC"
