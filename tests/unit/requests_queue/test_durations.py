"""Durations as text."""

from __future__ import annotations

from datetime import timedelta

import pytest

from requests_queue import time_format


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("45s", timedelta(seconds=45)),
        ("90", timedelta(seconds=90)),
        ("0.5", timedelta(milliseconds=500)),
        ("5m", timedelta(minutes=5)),
        (" 1H30m ", timedelta(hours=1, minutes=30)),
        ("1.5d", timedelta(hours=36)),
        ("3660d", timedelta(days=3660)),
        ("0s", timedelta()),
        ("0", timedelta()),
        ("PT5M", timedelta(minutes=5)),
        ("P3D", timedelta(days=3)),
        ("P1W", timedelta(weeks=1)),
        ("p1dt2h30m5s", timedelta(days=1, hours=2, minutes=30, seconds=5)),
        ("PT1.5H", timedelta(minutes=90)),
        ("PT0,5S", timedelta(milliseconds=500)),
        ("PT0S", timedelta()),
    ],
)
def test_duration_is_parsed(text: str, duration: timedelta) -> None:
    assert time_format.parse_span(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        *("", "m", "5 m", "5x", "-5m", "1m2", "3661d", "9" * 400 + "d", "nan", "٣d"),
        *("p", "pt", "P1DT", "P1M", "P1Y", "PT5", "P5M", "-PT5M", "PT1H1D", "P523W", "P1.d"),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|at most ten years"):
        time_format.parse_span(text)
