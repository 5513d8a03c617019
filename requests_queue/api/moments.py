"""Moments in texts of callers."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime


def parse_moment(text: str) -> datetime:
    """Return the moment of a text in its own offset, UTC without one; raises ValueError.

    A day alone is its first moment.
    """
    moment = parse_datetime(text)
    if moment is None and (day := parse_date(text)):
        moment = datetime(day.year, day.month, day.day)
    if moment is None:
        raise ValueError(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        # Near the ends of the calendar, another offset may have no such date.
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error
    return moment
