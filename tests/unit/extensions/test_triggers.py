"""Triggers of schedules: which are taken, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extensions import triggers
from requests_queue.errors import Invalid

_moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))


def _recurring(start: str, unit: str, amount: int = 1, **more: Any) -> dict[str, Any]:
    trigger = {"type": "recurring", "start": start, "unit": unit, "amount": amount, **more}
    return triggers.parse(trigger)


@pytest.mark.parametrize(
    ("trigger", "after", "expected"),
    [
        ({"type": "onetime", "date": "2026-11-01T10:00:00Z"}, None, "2026-11-01T10:00"),
        ({"type": "onetime", "date": "2026-11-01T10:00:00Z"}, "2026-11-01T10:00", None),
        # Without a zone: UTC.
        ({"type": "onetime", "date": "2026-11-01 10:00"}, "2026-11-01T09:59", "2026-11-01T10:00"),
        ({"type": "onetime", "date": "2026-11-01T10:00:00+02:00"}, None, "2026-11-01T08:00"),
        (("2026-11-01T10:00Z", "hours", 2), None, "2026-11-01T10:00"),
        (("2026-11-01T10:00Z", "hours", 2), "2026-11-01T09:00", "2026-11-01T10:00"),
        (("2026-11-01T10:00Z", "hours", 2), "2026-11-01T10:00", "2026-11-01T12:00"),
        # A move of the clock that passed several: the next one only.
        (("2026-11-01T10:00Z", "hours", 2), "2026-11-03T11:00", "2026-11-03T12:00"),
        (("2026-11-01T10:00Z", "days", 3), "2026-11-04T10:00", "2026-11-07T10:00"),
        (("2026-11-01T10:00Z", "weeks", 1), "2026-11-08T09:59", "2026-11-08T10:00"),
        # The last day of shorter months, and the same day again in longer ones.
        (("2026-01-31T10:00Z", "months", 1), "2026-01-31T10:00", "2026-02-28T10:00"),
        (("2026-01-31T10:00Z", "months", 1), "2026-02-28T10:00", "2026-03-31T10:00"),
        (("2026-01-31T10:00Z", "months", 1), "2026-03-31T10:00", "2026-04-30T10:00"),
        (("2027-11-30T10:00Z", "months", 3), "2027-11-30T10:00", "2028-02-29T10:00"),
        (("2026-12-31T10:00Z", "months", 12), "2026-12-31T10:00", "2027-12-31T10:00"),
        # Nothing after the end, or after the calendar's.
        (("2026-11-01T10:00Z", "days", 1, "2026-11-02T10:00Z"), "2026-11-01T10:00",
         "2026-11-02T10:00"),
        (("2026-11-01T10:00Z", "days", 1, "2026-11-02T10:00Z"), "2026-11-02T10:00", None),
        (("9999-12-31T10:00Z", "days", 1), "9999-12-31T10:00", None),
        (("9999-12-31T10:00Z", "months", 1), "9999-12-31T10:00", None),
    ],
)  # fmt: skip
def test_next_time(trigger: Any, after: str | None, expected: str | None) -> None:
    if isinstance(trigger, tuple):
        start, unit, amount, *end = trigger
        trigger = {"type": "recurring", "start": start, "unit": unit, "amount": amount}
        trigger |= {"end": end[0]} if end else {}
    moments = [None if each is None else datetime.fromisoformat(f"{each}:00+00:00")
               for each in (after, expected)]  # fmt: skip
    assert triggers.next_time(triggers.parse(trigger), moments[0]) == moments[1]


@pytest.mark.parametrize(
    ("trigger", "path"),
    [
        ({}, "trigger.type"),
        ({"type": "advanced", "cron_expression": "* * * * *"}, "trigger.type"),
        ({"type": ["onetime"]}, "trigger.type"),
        ({"type": "onetime"}, "trigger.date"),
        ({"type": "onetime", "date": "tomorrow"}, "trigger.date"),
        ({"type": "onetime", "date": "0001-01-01T00:00:00+14:00"}, "trigger.date"),
        ({"type": "recurring", "start": "2026-11-01T10:00Z"}, "trigger.unit"),
        ({"type": "recurring", "start": "2026-11-01T10:00Z", "unit": "years"}, "trigger.unit"),
        ({"type": "recurring", "unit": "days"}, "trigger.start"),
        *(
            (
                {"type": "recurring", "start": "2026-11-01T10:00Z", "unit": "days", "amount": a},
                "trigger.amount",
            )
            for a in (0, -1, 32768, 1.5, "1", True, None)
        ),
        (
            {"type": "recurring", "start": "2026-11-01T10:00Z", "unit": "days", "end": "never"},
            "trigger.end",
        ),
    ],
)
def test_invalid_trigger_names_its_field(trigger: Any, path: str) -> None:
    with pytest.raises(Invalid) as refused:
        triggers.parse(trigger)
    assert [each.path for each in refused.value.errors] == [path]


@given(
    _moments, st.sampled_from(triggers.UNITS), st.integers(1, 32767), _moments, st.none() | _moments
)
def test_next_time_is_later_and_not_after_the_end(
    start: datetime, unit: str, amount: int, after: datetime, end: datetime | None
) -> None:
    more = {} if end is None else {"end": end.isoformat()}
    trigger = _recurring(start.isoformat(), unit, amount, **more)
    at = triggers.next_time(trigger, after)
    if at is not None:
        assert at > after and at >= start.replace(microsecond=0)
        assert end is None or at <= end
