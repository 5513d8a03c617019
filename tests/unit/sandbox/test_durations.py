"""Durations as text."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox import durations


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
    ],
)
def test_duration_is_parsed(text: str, duration: timedelta) -> None:
    assert durations.parse(text) == duration


@pytest.mark.parametrize(
    "text", ["", "m", "5 m", "5x", "-5m", "1m2", "0", "0s", "3661d", "9" * 400 + "d", "nan"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|greater than 0 and at most ten years"):
        durations.parse(text)
