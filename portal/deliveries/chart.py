"""The volume chart of the log: deliveries by minute and outcome, for the log's search.

Bars are longer than a minute where the deliveries span more than an hour. A range of time in the
search is shown with some context, at least half an hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import add
from typing import Any, NamedTuple

from django.db import connection

from portal import charts
from portal.deliveries import filters, queries
from portal.deliveries.search import Term
from requests_queue.db import sql
from webhooks.models import Delivery

LIMIT = 3_000  # the newest deliveries, which are searched and counted
MOST_BARS = 60
_SHORTEST = timedelta(minutes=30)
_MINUTE = timedelta(minutes=1)
_DAY = 24 * 60
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, _DAY)  # minutes
_LABELS = 5  # of the time axis
# From the bottom of a bar.
OUTCOMES = {
    "success": "succeeded",
    "failure": "failed",
    "pending": "pending",
    "cancelled": "cancelled",
}
_STATES = {
    "success": (Delivery.DELIVERED,),
    "failure": (Delivery.FAILED,),
    "pending": (Delivery.WAITING, Delivery.CALLING),
    "cancelled": (Delivery.CANCELLED,),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAST = datetime(1, 1, 1, tzinfo=UTC)
_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


class _Count(NamedTuple):
    """The deliveries of a minute: their numbers in the order of OUTCOMES."""

    minute: int  # since _EPOCH
    is_inside: bool
    numbers: Sequence[int]


def build_chart(webhooks: Sequence[str], terms: Sequence[Term]) -> dict[str, Any] | None:
    """Return the chart of the webhooks' deliveries that match; None without any.

    It has the bars that are not empty, and the axes; two statements.
    """
    after, before = _range(terms)
    low, high = _with_context(after, before)
    counts = _read(webhooks, terms, (after, before), (low, high)) if webhooks else []
    if not counts:
        return None
    last = min(high, _moment(max(each.minute for each in counts) + 1))
    first = max(low, min(_moment(min(each.minute for each in counts)), last - _SHORTEST))
    step = _step(first, last)
    start = datetime.fromtimestamp(
        first.timestamp() // step.total_seconds() * step.total_seconds(), UTC
    )
    places = math.ceil((last - start) / step)
    search = filters.without_time(terms)
    start_minute, step_minutes = (start - _EPOCH) // _MINUTE, step // _MINUTE
    by_place: dict[int, Sequence[int]] = {}
    for minute, _, numbers in counts:
        place = (minute - start_minute) // step_minutes
        by_place[place] = list(map(add, by_place[place], numbers)) if place in by_place else numbers
    top = charts.axis_top(max(map(sum, by_place.values())))
    bars = [
        _bar(start + n * step, n, _by_outcome(by_place[n]), step, top, (after, before), search)
        for n in sorted(by_place)
    ]
    # What the search matches, without the context around its range of time.
    inside = [numbers for _, is_inside, numbers in counts if is_inside]
    totals = _by_outcome(map(sum, zip(*inside, strict=True))) if inside else {}
    is_limited = sum(map(sum, by_place.values())) >= LIMIT
    end = start + places * step
    form = "%H:%M" if end.date() == start.date() else "%m-%d %H:%M"
    return {
        "bars": bars,
        "start": start,
        "step_minutes": step_minutes,
        "places": places,
        "top": top,
        "middle": top // 2,
        # Evenly spaced below the axis.
        "labels": [f"{start + (end - start) * n / (_LABELS - 1):{form}}" for n in range(_LABELS)],
        "columns": OUTCOMES.values(),
        "total": sum(totals.values()),
        "legend": [(key, OUTCOMES[key], count) for key, count in totals.items() if count],
        "is_limited": is_limited,
        "search": search,
        "is_zoomed": (after, before) != (_PAST, _FUTURE),
        # What changes when the chart does.
        "digest": [start, step, is_limited, [(bar["at"], *bar["cells"]) for bar in bars]],
    }


def _by_outcome(numbers: Iterable[int]) -> dict[str, int]:
    return dict(zip(OUTCOMES, numbers, strict=False))


def _bar(
    at: datetime,
    n: int,
    counts: dict[str, int],
    step: timedelta,
    top: int,
    selected: tuple[datetime, datetime],
    search: str,
) -> dict[str, Any]:
    """Return a bar with its counts, and the search for its deliveries."""
    text = f"{search} after:{at:%Y-%m-%dT%H:%M} before:{at + step:%Y-%m-%dT%H:%M}".strip()
    is_inside = at < selected[1] and at + step > selected[0]
    return {
        "at": at,
        "cells": counts.values(),
        "text": ", ".join(f"{count} {OUTCOMES[key]}" for key, count in counts.items() if count),
        "segments": charts.stack(n, counts, top),
        "search": text,
        "is_inside": is_inside,
        "place": n,
    }


def _range(terms: Iterable[Term]) -> tuple[datetime, datetime]:
    """Return the range of time of a search."""
    after, before = [_PAST], [_FUTURE]
    for term in terms:
        if term.key == "after":
            after += term.values
        if term.key == "before":
            before += term.values
    return max(after), min(before)


def _with_context(after: datetime, before: datetime) -> tuple[datetime, datetime]:
    """Return a range of whole minutes around a range, of half an hour at least."""
    if after == _PAST or before == _FUTURE or before - after >= _SHORTEST:
        return after.replace(second=0, microsecond=0), before
    missing = (_SHORTEST - max(before - after, timedelta())) / 2
    low, high = after, before
    if after - _PAST > missing:
        low = after - missing
    if _FUTURE - before > missing:
        high = before + missing
    return low.replace(second=0, microsecond=0), high.replace(second=0, microsecond=0) + _MINUTE


def _step(first: datetime, last: datetime) -> timedelta:
    """Return how long a bar is, so that there are at most MOST_BARS."""
    # One bar more may be needed, since the first one begins at a round time.
    minutes = math.ceil((last - first) / _MINUTE)
    fitting = (step for step in _STEPS if minutes / step <= MOST_BARS - (step > 1))
    days = math.ceil(minutes / _DAY / (MOST_BARS - 1))
    return timedelta(minutes=next(fitting, days * _DAY))


def _read(
    webhooks: Sequence[str],
    terms: Sequence[Term],
    selected: tuple[datetime, datetime],
    shown: tuple[datetime, datetime],
) -> list[_Count]:
    """Return the newest deliveries by minute, state, and whether they are in the selected range."""
    others = [term for term in terms if term.key not in filters.TIME_KEYS]
    matching, params = _matching(webhooks, others)
    condition, times = "", []
    if shown[0] > _PAST:
        condition, times = "AND created_at >= %s", [sql.datetime_param(shown[0])]
    if shown[1] < _FUTURE:
        condition += " AND created_at < %s"
        times.append(sql.datetime_param(shown[1]))
    first = queries.first_of_newest("webhooks_delivery", webhooks, LIMIT, condition, *times)
    inside, limits = "1", []
    if selected != (_PAST, _FUTURE):
        inside = "CASE WHEN d.created_at >= %s AND d.created_at < %s THEN 1 ELSE 0 END"
        limits = [sql.datetime_param(moment) for moment in selected]
    numbers = ", ".join(
        f"COUNT(*) FILTER (WHERE d.state IN ({', '.join(map(repr, _STATES[outcome]))}))"
        for outcome in OUTCOMES
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {sql.minutes_of("d.created_at")} AS minute, {inside} AS inside, {numbers}
            FROM ({matching}) d WHERE d.id >= {first} {condition} GROUP BY 1, 2
            """,
            [*limits, *params, *times],
        )
        rows = cursor.fetchall()
    return [_Count(minute, bool(inside), numbers) for minute, inside, *numbers in rows]


def _matching(webhooks: Sequence[str], terms: Sequence[Term]) -> tuple[str, Sequence[Any]]:
    """Return the statement for the deliveries that match, of any time, and its parameters."""
    if not terms:
        # Raw SQL, because the ORM takes as long to write it as SQLite to run the whole.
        columns, ids = "id, created_at, state", sql.placeholders(webhooks)
        return f"SELECT {columns} FROM webhooks_delivery WHERE webhook_id IN ({ids})", webhooks
    rows = queries.matching(webhooks, terms).order_by().values("id", "created_at", "state")
    return rows.query.sql_with_params()


def _moment(minute: int) -> datetime:
    return _EPOCH + minute * _MINUTE
