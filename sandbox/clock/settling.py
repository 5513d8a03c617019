"""Whether everything has happened that follows from the present: the sandbox is settled.

Settled means all of: nothing is due or in flight, no job of the platform is running, no handler is
calling the API, the settle time has passed since the last 2xx response of each handler and since
its last API call, and there is no hold.

Settle times are learned from the timeline (`settle_times`) and kept in memory: a reset or a new
webhook of the same URL doesn't change them, and a new process folds them from the newest entries.
They are real time, by the monotonic clock from the moment when an entry is read.

A hold keeps the clock from moving on until it is released or expires: for a handler with a queue of
its own, whose work the sandbox doesn't see, or for its author's test. Several may be held at once:
the clock waits for all of them. Its times are the database's, since several processes take holds.
`Token` and its fields are also those of the lease (`world.gate`), which expires in the same way.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from requests_queue import clock, jobs
from requests_queue.api.resources import Field, Part
from requests_queue.api.schema import Untrusted
from requests_queue.db import sql
from requests_queue.errors import Missing
from requests_queue.signals import collect_busy, collect_next_work, due_reached
from requests_queue.time_format import format_span
from sandbox.clock import settle_times
from sandbox.clock.settle_times import Learner
from sandbox.models import EXPIRES_IN, Hold, TimelineEntry
from sandbox.timeline import activity, api_calls, timeline
from sandbox.timeline.timeline import Cursor, Entry, Seconds
from webhooks.delivery import claim, wakeup
from webhooks.types import EVENT

KINDS = (timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED, timeline.API_CALL, timeline.CLOCK)
NEWEST = 5000  # entries that are read at once, for instance by a new process
# Seconds until a mover checks again beside other processes, which report calls up to 50 ms late.
REPORTED = 0.1
DEFAULT_TTL, MAX_TTL = 30.0, 3600.0  # seconds of a hold or lease
MAX_NOTE = 200  # characters

# The kinds of what is unsettled.
DUE, IN_FLIGHT, PROCESSING, JOB = "due", "in_flight", "processing", "job"
API_CALLS, SETTLE_TIME, HOLD = "api_calls", "settle_time", "hold"
# Seconds after which to check again, if nothing is written to the timeline until then.
_AGAIN = {DUE: 0.1, IN_FLIGHT: 0.5, PROCESSING: 0.1, JOB: 0.25, API_CALLS: 0.02}


@collect_next_work.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next backoff with pending deliveries ends, or a request times out."""
    moments = [wakeup.next_due(now), *(at for _, at in _deadlines() if at and at > now)]
    return min((moment for moment in moments if moment is not None), default=None)


@collect_busy.connect
def unsettled(now: datetime, **kwargs: Any) -> set[str]:
    """Return labels of what is due or in flight at `now`, and wake the engine for what is due.

    The label of a request in flight changes when its deadline has passed: until then the clock
    may move while it is in flight, afterwards it must end.
    """
    with transaction.atomic():
        # Nothing is claimed between the two queries, and due deliveries are read last: a delivery
        # that becomes pending when its request ends is in one of the two.
        claim.lock()
        calling = {
            f"{'overdue' if at and at <= now else 'calling'}:{label}" for label, at in _deadlines()
        }
        due = {f"due:{pk}" for pk in claim.select(1, now)[0]}
    if due or any(label.startswith("overdue:") for label in calling):
        wakeup.send()
    return due | calling


def _deadlines() -> list[tuple[str, datetime | None]]:
    """Return each request in flight (its delivery and attempt number) and its deadline.

    None for a validator's, whose timeout is real time because a person or client waits for it.
    """
    timeout = timedelta(seconds=settings.SIM_HTTP_TIMEOUT)
    statement = f"""
        SELECT d.id, attempts, started_at, type, forced FROM webhooks_webhook w
        JOIN webhooks_delivery d {sql.indexed_by("delivery_calling")} ON w.id = d.webhook_id
        WHERE d.state = 'calling' AND d.started_at IS NOT NULL AND w.deleted_at IS NULL
    """
    return [
        (f"{pk}.{attempts + 1}", start + timeout if type_ == EVENT or forced else None)
        for pk, attempts, started_at, type_, forced in sql.fetch(statement)
        if (start := sql.datetime_value(started_at)) is not None
    ]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Something that has to happen before the sandbox is settled.

    `keys` identify what it is about; `seconds` is when to check again, if nothing is written to
    the timeline.
    """

    kind: str
    text: str
    keys: frozenset[Hashable]
    seconds: float


UNSETTLED = Part(
    "Unsettled",
    "Something that has to happen before the sandbox is settled.",
    {"kind": str, "text": Untrusted},
)


@dataclass(frozen=True, slots=True)
class SettleTime:
    """The settle time of a URL in seconds; its source: fixed, setting, learned or default."""

    url: str
    seconds: float
    source: str


SETTLE_TIME_PART = Part(
    "SettleTime",
    "The settle time of a handler URL in milliseconds, and where it is from.",
    {
        "url": Untrusted,
        "ms": Field(float, lambda each: round(each.seconds * 1000, 3)),
        "source": Literal["fixed", "setting", "learned", "default"],
    },
)


def waiting_for(
    now: datetime,
    *,
    settle: float | None = None,
    ignored: frozenset[Hashable] = frozenset(),
    first: bool = False,
) -> list[Unsettled]:
    """Return what has to happen before the sandbox is settled at the platform time `now`.

    `settle` replaces all settle times (seconds). What is `ignored`, by its keys, is left out. With
    `first`, return as soon as there is anything.
    """
    result: list[Unsettled] = []
    for part in _parts(now, settle, ignored, first):
        result += [each for each in part if not (each.keys and each.keys <= ignored)]
        if first and result:
            break
    return result


def _parts(
    now: datetime, settle: float | None, ignored: frozenset[Hashable], first: bool
) -> Iterator[list[Unsettled]]:
    """Yield what is unsettled, part by part.

    In this order, so that nothing is missed that passes from one part to the next meanwhile: an
    attempt is in flight until its end is in the timeline, and an API call until it is recorded.
    """
    began = time.monotonic()
    yield _api_calls(ignored)
    calling = _deadlines() if first else []
    if all(at is None or at > now for _, at in calling):
        # Without the locks of the next part, which also wakes the engine for what is overdue.
        yield [_work(f"calling:{label}") for label, _ in calling]
    yield [_work(label) for label in sorted(jobs.busy(now))]
    yield _settling(began, settle)
    yield [_hold(hold) for hold in holds()]


def of_handlers(settle: float | None = None) -> list[Unsettled]:
    """Return API calls of handlers, and handlers whose settle time has not passed; reads only.

    `settle` replaces all settle times (seconds).
    """
    began = time.monotonic()
    return [*_api_calls(frozenset()), *_settling(began, settle)]


def _work(label: str) -> Unsettled:
    """Return the work of a label of `jobs.busy`."""
    name, _, about = label.partition(":")
    delivery, _, attempt = about.partition(".")
    kind, text = {
        "due": (DUE, f"Delivery {about} is due."),
        "calling": (IN_FLIGHT, f"Attempt {attempt} of delivery {delivery} is in flight."),
        "overdue": (IN_FLIGHT, f"Attempt {attempt} of delivery {delivery} is timing out."),
        "processing": (PROCESSING, f"{about} is being processed."),
        "task": (PROCESSING, f"Task {about} of an extension has not ended."),
        "failed": (JOB, f"A job of the platform fails: {about}."),
    }.get(name, (JOB, f"{label} is running."))
    return Unsettled(kind, text, frozenset({label}), _AGAIN[kind])


def _hold(hold: Token) -> Unsettled:
    note = f" ({hold.note})" if hold.note else ""
    left = format_span(hold.expires_in)
    text = f"{hold.id}{note} is held, for at most {left}."
    return Unsettled(HOLD, text, frozenset({("hold", hold.id)}), hold.expires_in)


# API calls of handlers, in any process.


def _api_calls(ignored: frozenset[Hashable]) -> list[Unsettled]:
    totals = activity.all_processes()
    calls, idle = totals.calls - ignored, totals.idle
    if calls:
        count = len(calls)
        text = "1 API call is in flight." if count == 1 else f"{count} API calls are in flight."
        return [Unsettled(API_CALLS, text, frozenset(calls), _AGAIN[API_CALLS])]
    if has_other_processes() and idle is not None and idle < REPORTED:
        text = "An API call has just ended."
        # Without a key: it passes by itself, and is never ignored.
        return [Unsettled(API_CALLS, text, frozenset(), REPORTED - idle)]
    return []


# Settle times.


class _State:
    """What this process has read of the timeline, and when handlers were last active."""

    def __init__(self) -> None:
        self.learner = Learner()
        # By URL: the attempt and the monotonic time of the last activity.
        self.active: dict[str, tuple[Hashable, float]] = {}
        # The monotonic time of the last API call of anybody, and of a handler that wasn't called.
        self.called = self.polled = -math.inf
        self._cursor: Cursor | None = None
        # Entries after the cursor that have been read: of transactions that are not ordered yet.
        self._read: set[int] = set()

    def catch_up(self) -> None:
        """Read the entries that have been written since the last time."""
        if self._cursor is None:
            self._feed(_rows().filter(kind=timeline.CLOCK, data__action="settle"))
        # First: all entries until then are visible below.
        until = timeline.now()
        rows = list(after(self._cursor or Cursor()).reverse()[:NEWEST])
        rows.reverse()
        self._feed(row for row in rows if row.pk not in self._read)
        ordered = [row for row in rows if timeline.cursor_of(row) <= until]
        if ordered or self._cursor is None:
            self._cursor = timeline.cursor_of(ordered[-1]) if ordered else Cursor()
        self._read = {row.pk for row in rows[len(ordered) :]}

    def _feed(self, rows: Any) -> None:
        real, monotonic = datetime.now(UTC), time.monotonic()
        for row in rows:
            activity = self.learner.feed(row)
            # The real time may have been set: an activity is never in the future.
            at = monotonic - max(0.0, (real - row.real_at).total_seconds())
            if row.kind == timeline.API_CALL:
                self.called = max(self.called, at)
                if row.delivery_id is None and row.data.get("actor", "handler") == "handler":
                    self.polled = max(self.polled, at)
            if activity is not None:
                _, last = self.active.get(activity.url, (None, at))
                self.active[activity.url] = (activity.attempt, max(last, at))


_state = _State()
_guard = threading.Lock()


def forget() -> None:
    """Forget what was learned; the timeline is read again. For tests."""
    global _state
    with _guard:
        _state = _State()


def _settling(began: float, settle: float | None) -> list[Unsettled]:
    """Return the handlers whose settle time has not passed when the look `began`."""
    result = []
    with _caught_up() as state:
        for url, (attempt, at) in list(state.active.items()):
            seconds = settle
            if seconds is None:
                seconds = state.learner.settle_time(url, settings.SIM_SETTLE_TIME)
            # An activity may have been read after the look began.
            left = min(at - began, 0.0) + seconds
            if left > 0:
                text = f"{url} may still act on its last request: {format_span(left)} left."
                keys = frozenset({("settle", url, attempt)})
                result.append(Unsettled(SETTLE_TIME, text, keys, left))
            elif began - at > settle_times.MAX_FIXED:
                del state.active[url]
    return result


def is_quiet() -> bool:
    """Return whether nobody will act on the present of a settled sandbox any more.

    A handler may be slower than before, poll, or have a queue of its own, and a test may have
    several threads.
    """
    with _caught_up() as state:
        learner, default = state.learner, settings.SIM_SETTLE_TIME
        ends = [state.called + settle_times.UNKNOWN, state.polled + settle_times.MAX_GAP]
        ends += [at + learner.grace_period(url, default) for url, (_, at) in state.active.items()]
        return max(ends) <= time.monotonic()


def settle_time(url: str) -> SettleTime:
    """Return the settle time of a handler URL."""
    with _caught_up() as state:
        return _settle_time(state.learner, url)


def settle_times_by_url() -> list[SettleTime]:
    """Return the settle times of the handlers about which something is known, by URL."""
    with _caught_up() as state:
        learner = state.learner
        return [_settle_time(learner, url) for url in sorted({*learner.fixed, *learner.gaps})]


def _settle_time(learner: Learner, url: str) -> SettleTime:
    default = settings.SIM_SETTLE_TIME
    if url in learner.fixed:
        source = "fixed"
    elif default is not None:
        source = "setting"
    else:
        source = "learned" if url in learner.gaps else "default"
    return SettleTime(url, learner.settle_time(url, default), source)


def fix(url: str, milliseconds: float | None) -> None:
    """Fix the settle time of a URL, in all processes; None: learn it again.

    The timeline tells the others, and keeps it until the entry is pruned.
    """
    data = {"action": "settle", "url": url, "ms": milliseconds}
    timeline.append([Entry(timeline.CLOCK, clock.now(), data=data)])


@contextmanager
def _caught_up() -> Iterator[_State]:
    """Yield the state of this process, after reading new entries."""
    api_calls.flush()
    with _guard:
        _state.catch_up()
        yield _state


def _rows() -> QuerySet[TimelineEntry]:
    return TimelineEntry.objects.order_by("transaction", "id")


def after(cursor: Cursor, kinds: Iterable[str] = KINDS) -> QuerySet[TimelineEntry]:
    """Return the entries after a cursor that are committed, though older ones may follow.

    Without API calls that have no response yet.
    """
    return _rows().filter(
        Q(transaction=cursor.transaction, id__gt=cursor.id) | Q(transaction__gt=cursor.transaction),
        kind__in=kinds,
        is_open=False,
    )


def has_other_processes() -> bool:
    """Return whether other processes may serve API calls or send requests."""
    return not wakeup.is_broker_in_memory()


# Holds.


@dataclass(frozen=True, slots=True)
class Token:
    """A hold or a lease, and in how many seconds it expires; the repr does not show the id."""

    id: str = field(repr=False)
    note: str
    expires_in: float


# The keys of a hold and of a lease.
TOKEN_FIELDS = {
    "note": Untrusted,
    "expires_in": Field(Seconds, lambda token: round(token.expires_in, 3)),
}
HOLD_PART = Part("Hold", "A hold; it expires in so many seconds.", {"id": str, **TOKEN_FIELDS})


@transaction.atomic
def take_hold(ttl: float = DEFAULT_TTL, note: str = "") -> Token:
    """Take a new hold for `ttl` seconds; its id is never used again."""
    row = Hold.objects.create(id=f"HLD-{uuid.uuid4()}", note=note, expires=sql.DatabaseTime() + ttl)
    _record_hold("taken", row.id, note)
    return Token(row.id, note, ttl)


def release_hold(hold_id: str) -> None:
    """Release a hold; raises Missing if it was released before or has expired."""
    with transaction.atomic():
        rows = Hold.objects.filter(pk=hold_id, expires__gt=sql.DatabaseTime())
        note = rows.values_list("note", flat=True).first()
        # Race: only one of several releases deletes the row.
        if rows.delete()[0]:
            _record_hold("released", hold_id, note or "")
            return
    expire_holds()
    raise Missing(hold_id)


def holds() -> list[Token]:
    """Return the holds, after removing the expired ones; the first to expire first."""
    rows = Hold.objects.annotate(left=EXPIRES_IN).order_by("expires", "pk")
    tokens = [Token(*row) for row in rows.values_list("id", "note", "left")]
    active = [token for token in tokens if token.expires_in > 0]
    if len(active) < len(tokens):
        expire_holds()
    return active


@due_reached.connect
def expire_holds(**kwargs: object) -> None:
    """Remove the expired holds."""
    expired = Hold.objects.filter(expires__lte=sql.DatabaseTime())
    for pk, note in list(expired.values_list("id", "note")):
        with transaction.atomic():
            # Race: only one process deletes and records it.
            if expired.filter(pk=pk).delete()[0]:
                _record_hold("expired", pk, note)


def _record_hold(action: str, pk: str, note: str) -> None:
    data = {"action": action, "id": pk, "note": note}
    timeline.append([Entry(timeline.HOLD, clock.now(), data=data)])
