"""The responses of a wait: 200 with the evidence, 408 with what happened instead.

Both have the present, which is read once for the conditions of all waits. A read of the timeline
that waits for an entry gets its page.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import Model, QuerySet

from requests_queue import jobs
from requests_queue.api.resources import Field, Part
from requests_queue.api.schema import Untrusted
from requests_queue.catalog.models import Asset
from requests_queue.queues import base
from requests_queue.time_format import format_span
from sandbox import error_codes
from sandbox.clock import settling
from sandbox.clock.settling import UNSETTLED
from sandbox.models import TimelineEntry
from sandbox.timeline import api_calls, handler_activity, observer, timeline
from sandbox.timeline.observer import LONGEST, Kind, Result, Waiter, json_result
from sandbox.timeline.timeline import ENTRY, Cursor, CursorText, Moment, Seconds
from sandbox.waits import conditions
from sandbox.waits.conditions import Condition, Entry, History, Needs, Present, Verdict
from webhooks.models import Webhook

SHOWN = 100  # latest entries that a 408 shows
CONSIDERED, EARLIER = 300, 200  # latest entries since the cursor, and before it, for near misses

# Why a wait ended without its condition coming true.
TIMEOUT, WITHIN, IDLE = "timeout", "within", "idle"
IMPOSSIBLE, RESET = "impossible", "reset"
_REASONS = {
    TIMEOUT: "Not true after {} of real time",
    WITHIN: "Not true within {} of platform time",
    IDLE: "Not true, and no more work is left to run",
    IMPOSSIBLE: "It cannot come true any more",
    RESET: "Not true before the sandbox was reset or restored",
}


def read_present(needs: Needs, now: datetime) -> Present:
    """Return what the conditions need of the present."""
    webhooks = Webhook.objects.filter(pk__in=needs.webhooks) if needs.webhooks else ()
    return Present(
        _statuses(needs.objects),
        {row.pk: row.out_of_order and row.active for row in webhooks},
        is_idle(now) if needs.idle else None,
    )


def is_idle(now: datetime) -> bool:
    """Return whether the sandbox is settled, and no work is left for later."""
    before = timeline.last_id()
    if settling.waiting_for(now, first=True) or jobs.next_work(now) is not None:
        return False
    # A retry whose backoff ended in between may have been read neither as one for later nor as one
    # in flight, but its attempt has begun with an entry.
    return timeline.last_id() == before


def _statuses(ids: Iterable[str]) -> dict[str, str | None]:
    """Return the statuses of requests and subscriptions; None: no such object."""
    found: dict[str, str | None] = dict.fromkeys(ids)
    by_model: dict[type[Model], list[str]] = {}
    for pk in found:
        models: list[type[Model]] = [*(queue.model for queue in base.queues_of(pk)), Asset]
        for model in models:
            by_model.setdefault(model, []).append(pk)
    for model, pks in by_model.items():
        missing = [pk for pk in pks if found[pk] is None]
        if missing:
            rows = model._default_manager.filter(pk__in=missing).order_by()
            found |= rows.values_list("pk", "status")
    return found


@dataclass(eq=False, kw_only=True, slots=True)
class Wait(Waiter):
    """A wait: its condition, from where, and how long; `timeout` in real seconds.

    `within` is a span of platform time, `ends_at` its end. `position` is the cursor up to which the
    condition has been fed. The wait is `decided` once its response is known, `has_ended` when
    everything within its span has happened, and `was_reset` when the world has been replaced.
    """

    condition: Condition
    since: Cursor
    timeout: float
    skip: bool = False
    within: timedelta | None = None
    began: float = field(default_factory=time.monotonic)
    position: Cursor = field(init=False)
    ends_at: datetime | None = None
    has_ended: bool = False
    was_reset: bool = False
    decided: Result | None = None

    def __post_init__(self) -> None:
        self.position = self.since
        self.deadline = self.began + self.timeout

    def feed(self, rows: Iterable[tuple[TimelineEntry, dict[str, Any]]]) -> None:
        """Feed entries and their representations to the condition, each once."""
        for row, entry in rows:
            cursor = timeline.cursor_of(row)
            if cursor <= self.position:
                continue
            self.position = cursor
            if self.ends_at is not None and row.at > self.ends_at:
                self.has_ended = True
            if not self.has_ended:
                self.condition.feed(entry)

    def verdict(self, now: Present) -> Verdict:
        """Return whether the condition is true."""
        return self.condition.verdict(now, ended=self.has_ended)


_ENDED = {
    "now": Moment,
    "cursor": CursorText,
    "waited": Seconds,
    "present": Part(
        "Present",
        "What the conditions depend on: statuses of objects, webhooks out of order, idle.",
        {
            "statuses": dict[str, str | None],
            "out_of_order": dict[str, bool],
            "idle": bool | None,
        },
    ),
}
SATISFIED = Part(
    "WaitSatisfied",
    "The condition is true; `evidence` are the entries that made it true.",
    {**_ENDED, "evidence": [ENTRY]},
)
_DIFFERENCE = Part(
    "Difference",
    "A point in which something differs from the condition.",
    {"field": str, "expected": str, "actual": Untrusted},
)
_NEAR_MISS = Part(
    "NearMiss",
    "An attempt, object or webhook that nearly made the condition true.",
    {
        "webhook": str | None,
        "delivery": int | None,
        "attempt": int | None,
        "object": str | None,
        "entry": Field(ENTRY, empty=None),
        "differs": [_DIFFERENCE],
    },
)
UNSATISFIED = Part(
    "WaitFailed",
    "The condition is not true: `waiting_for` says what was expected, `reasons` why it is not so. "
    "`near_misses` are of the same objects and webhooks, since the last reset; `timeline` has the "
    "latest entries since the cursor.",
    {
        "error_code": str,
        "errors": list[Untrusted],
        "hint": str,
        "retryable": bool,
        "stopped_because": Literal["timeout", "within", "idle", "impossible", "reset"],
        **_ENDED,
        "waiting_for": list[str],
        "reasons": list[Untrusted],
        "near_misses": [_NEAR_MISS],
        "unsettled": [UNSETTLED],
        "timeline": [ENTRY],
        "timeline_left_out": int,
    },
)


def satisfied(wait: Wait, state: Present, now: datetime) -> Result:
    """Return the 200 of a wait: the entries that made its condition true, and the present."""
    body = {
        "now": timeline.format_time(now),
        "cursor": str(wait.position),
        "waited": _waited(wait),
        "evidence": wait.condition.evidence(),
        "present": asdict(state),
    }
    return json_result(200, body)


def unsatisfied(wait: Wait, state: Present, now: datetime, reason: str) -> Result:
    """Return the 408 of a wait: why its condition is not true, and what happened instead."""
    api_calls.flush()
    rows = timeline.between(wait.since, max(wait.position, timeline.now()))
    latest = list(rows.reverse()[:CONSIDERED])[::-1]
    shown = [timeline.represent(row) for row in latest[-SHOWN:]]
    unsettled = settling.waiting_for(now)
    history = _history(wait, state, latest, [each.text for each in unsettled])
    unmet = wait.condition.unmet(history)
    texts = [condition.describe() for condition in unmet]
    reasons = list(dict.fromkeys(condition.reason(history) for condition in unmet))
    misses = conditions.nearest(wait.condition, history)
    body = {
        "error_code": "WAIT_001",
        "errors": [
            f"{_REASONS[reason].format(_span(wait, reason))}: {'; '.join(texts)}.",
            *(f"{text[0].upper()}{text[1:]}." for text in reasons),
        ],
        **error_codes.advice("WAIT_001"),
        "retryable": reason == "timeout",
        "stopped_because": reason,
        "now": timeline.format_time(now),
        "cursor": str(wait.position),
        "waited": _waited(wait),
        "waiting_for": texts,
        "reasons": reasons,
        "near_misses": [miss.represent() for miss in misses],
        "present": asdict(state),
        "unsettled": list(map(UNSETTLED.represent, unsettled)),
        "timeline": shown,
        "timeline_left_out": rows.count() - len(shown),
    }
    return json_result(408, body)


def _history(
    wait: Wait, state: Present, latest: Sequence[TimelineEntry], unsettled: Sequence[str]
) -> History:
    """Return what has happened since the last reset, and the cursor of the wait."""
    reset = timeline.last_reset()
    early = timeline.newest(reset, wait.since)[:EARLIER]

    def note(entry: Entry) -> str:
        key = (entry["delivery"], entry["attempt"])
        activity = handler_activity.for_attempts([key], settled=not unsettled, with_bodies=False)
        notes = activity[key].notes if key in activity else ()
        # The condition itself says which status the object has.
        texts = [each.text for each in notes if each.code != handler_activity.STILL_PENDING]
        return texts[-1].rstrip(".") if texts else ""

    return History(
        state,
        [timeline.represent(row) for row in latest if timeline.cursor_of(row) > reset],
        [timeline.represent(row) for row in early][::-1],
        wait.has_ended,
        unsettled,
        note,
    )


def _span(wait: Wait, reason: str) -> str:
    if reason == WITHIN and wait.within is not None:
        return format_span(wait.within.total_seconds())
    return format_span(wait.timeout)


def _waited(wait: Wait) -> float:
    return round(time.monotonic() - wait.began, 3)


PAGE = Part(
    "Timeline",
    "Entries, and the cursor to continue from; with `latest`, how many others there are.",
    {"entries": [ENTRY], "cursor": CursorText, "earlier": Field(int, optional=True)},
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries a page has, and how many at most; empty filters match all."""

    limit: int
    webhook: str = ""
    object: str = ""
    kinds: Sequence[str] = ()

    def page(self, since: Cursor, until: Cursor) -> dict[str, Any]:
        """Return `{"entries", "cursor"}`: the entries after `since`, up to `until`."""
        entries = list(self._rows(since, until)[: self.limit])
        # Without more entries, what was filtered out need not be read again.
        last = timeline.cursor_of(entries[-1]) if len(entries) == self.limit else until
        shown = [timeline.represent(entry) for entry in entries]
        return {"entries": shown, "cursor": str(max(since, last))}

    def latest(self, since: Cursor, until: Cursor) -> dict[str, Any]:
        """Return `{"entries", "cursor", "earlier"}`: the last ones, and the number of others."""
        rows = self._rows(since, until)
        entries = list(rows.reverse()[: self.limit])[::-1]
        shown = [timeline.represent(entry) for entry in entries]
        earlier = rows.count() - len(entries) if len(entries) == self.limit else 0
        return {"entries": shown, "cursor": str(max(since, until)), "earlier": earlier}

    def _rows(self, since: Cursor, until: Cursor) -> QuerySet[TimelineEntry]:
        rows = timeline.between(since, until)
        if self.webhook:
            rows = rows.filter(webhook_id=self.webhook)
        if self.object:
            rows = timeline.about_object(rows, self.object)
        if self.kinds:
            rows = rows.filter(kind__in=self.kinds)
        return rows


@dataclass(eq=False, kw_only=True, slots=True)
class Read(Waiter):
    """A caller that waits for an entry after `position`; the future gets the page."""

    filters: Filters
    position: Cursor


class Reads(Kind[Read]):
    """The reads of this process that wait."""

    def turn(self) -> float:
        """Respond to the callers that have an entry or are past their deadline."""
        reads = observer.waiting(self)
        if not reads:
            return LONGEST
        api_calls.flush()
        # Before the read: what is withheld now may be readable by then.
        pause = timeline.WITHHELD_POLL if timeline.is_withheld() else LONGEST
        until, now = timeline.now(), time.monotonic()
        for read in reads:
            page = read.filters.page(read.position, until)
            if page["entries"] or read.deadline <= now:
                read.respond(json_result(200, page))
            read.position = max(read.position, until)
        return pause


reads = Reads()
