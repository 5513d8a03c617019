"""The timeline: one ordered log of everything that happens in the sandbox.

Entries are written in the transaction of what they report. Their `data` by kind:

| kind | data |
|---|---|
| `change` | `object_class, type, product, from, to, actor` |
| `event` | `from, to`; no object for Trigger now |
| `attempt_started` | `type, method, url, forced, objects` |
| `attempt_finished` | the same, and `outcome, status, error, duration, why, state`, |
|  | `next_attempt_at, out_of_order` |
| `api_call` | `id, method, path, query, status, error_code, duration, actor, account, key, link`; |
|  | `id`, `status` and `duration` are null while there is no response |
| `clock` | `action` (`advance`, `next`, `run-until-idle`, `wait`), `from, to`; |
|  | or `action` (`settle`), `url, ms` |
| `message` | `id, type, account` of a message in a conversation, without its text |
| `fault` | `id, name, kind, side, fired`, and `method, path, account` of an API call, |
|  | or `task, account` of a task |
| `task` | `action` (`started`, `finished`), `id, type, number, account` of an extension's task, |
|  | and at its end `result, message, why, status, due_at` |
| `hold` | `action` (`taken`, `released`, `expired`), `id, note` |
| `reset` | `action` (`reset`, `restored`), `snapshot`, `products`: the features that products |
|  | with webhooks had, for `sandbox.coverage` |

`objects` are the objects of the delivery's events; an entry about exactly one object names it as
`object` too. Entries of attempts are written by `attempts`, of API calls by `call_storage`, of
changes, messages and events at the end of this module, and others where they happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.signals import post_save
from django.dispatch import receiver

from requests_queue import clock
from requests_queue.api import fast_json
from requests_queue.api.resources import Field, Part
from requests_queue.api.schema import Also, UntrustedJson
from requests_queue.conversations.models import STATE_CHANGE, Message
from requests_queue.db import retention, sql
from requests_queue.db.retention import ByAge
from requests_queue.errors import Invalid
from requests_queue.queues.transitions import Change
from requests_queue.signals import changes_made, storing_changes
from sandbox.models import ApiCall, TimelineEntry, oldest_in_progress
from sandbox.timeline import observer
from webhooks import pruning
from webhooks.delivery.fan_out import RecordedEvent
from webhooks.models import Event
from webhooks.signals import events_recorded

CHANGE, EVENT = "change", "event"
ATTEMPT_STARTED, ATTEMPT_FINISHED = "attempt_started", "attempt_finished"
API_CALL, MESSAGE, CLOCK, FAULT = "api_call", "message", "clock", "fault"
HOLD, RESET, TASK = "hold", "reset", "task"
_OF_THE_SANDBOX = (CLOCK, FAULT, HOLD, RESET, TASK)
KINDS = (CHANGE, EVENT, ATTEMPT_STARTED, ATTEMPT_FINISHED, API_CALL, MESSAGE, *_OF_THE_SANDBOX)
KEEP = 200_000  # entries; older ones are pruned
WITHHELD_POLL = 0.02  # seconds after which entries that were withheld are read again
OPEN_FOR = 5.0  # seconds for which an API call without a response keeps later entries unread

_COLUMNS = {
    "kind": "text",
    "at": "timestamptz",
    "real_at": "timestamptz",
    "webhook_id": "text",
    "delivery_id": "bigint",
    "attempt": "int",
    "object_id": "text",
    "data": "jsonb",
}
# Entries of a plain statement: psycopg parses more than 50 parameters each time anew.
_ROWS = 6
_TABLE = "sandbox_timelineentry"
_INSERT = f"INSERT INTO {_TABLE} ({', '.join(_COLUMNS)})"
_EVENTS = f"""
    INSERT INTO {_TABLE} (kind, at, real_at, webhook_id, delivery_id, object_id, data)
    SELECT '{EVENT}', at, %s, webhook_id, delivery_id, NULLIF(object_id, ''), ({{data}})
    FROM webhooks_event WHERE id IN ({{ids}}) ORDER BY id
"""
# It keeps its time, since the next entries are those of what the call has caused.
_COMPLETED = [column for column in _COLUMNS if column != "at"]
_COMPLETE = f"""
    UPDATE {_TABLE} SET {", ".join(f"{column} = %s" for column in _COMPLETED)},
    is_open = false WHERE id = %s
"""
API_CALLS = "API calls"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry to write; `at` is platform time."""

    kind: str
    at: datetime
    webhook: str | None = None
    delivery: int | None = None
    attempt: int | None = None
    object: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    real_at: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the timeline: after the entry of this transaction and id; text is `7.42`."""

    transaction: int = 0
    id: int = 0

    def __str__(self) -> str:
        return f"{self.transaction}.{self.id}"


def parse_cursor(text: str) -> Cursor:
    """Return a cursor; raises Invalid, with the path `since`."""
    first, _, second = text.partition(".")
    try:
        if not (first.isascii() and first.isdigit() and second.isascii() and second.isdigit()):
            raise ValueError
        cursor = Cursor(int(first), int(second))
    except ValueError:
        raise Invalid("since", f"{text[:40]!r} is not a cursor of the timeline.") from None
    if max(cursor.transaction, cursor.id) >= 2**63:
        raise Invalid("since", f"{text[:40]!r} is not a cursor of the timeline.")
    return cursor


def append(entries: Sequence[Entry]) -> None:
    """Write entries in the current transaction, and notify who waits when it is committed.

    Raw SQL: `bulk_create` would take a fifth of the CPU time of a delivery.
    """
    if not entries:
        return
    rows = _values(entries)
    marks = f"({sql.placeholders(list(_COLUMNS))})"
    if connection.vendor == "postgresql" and len(rows) > _ROWS:
        source, values = sql.rows_of(rows, _COLUMNS, is_joined=False)
        sql.fetch(observer.notifying(f"{_INSERT} {source}"), values)
    elif len(rows) <= _ROWS:
        with connection.cursor() as cursor:
            insert = f"{_INSERT} VALUES {', '.join([marks] * len(rows))}"
            cursor.execute(observer.notifying(insert), [v for row in rows for v in row])
    else:
        with connection.cursor() as cursor:
            cursor.executemany(f"{_INSERT} VALUES {marks}", rows)
    observer.announce_here_after_commit()


def open_call(at: datetime, real_at: datetime, data: Mapping[str, Any]) -> int:
    """Write the entry of an API call without its response, and return its id.

    Entries from there on are not read before `complete`, for at most OPEN_FOR seconds.
    """
    return TimelineEntry.objects.create(
        kind=API_CALL, at=at, real_at=real_at, data=data, is_open=True
    ).pk


def complete(entries: Mapping[int, Entry]) -> None:
    """Complete open entries, by id, and notify who waits when that is committed.

    One that a reset has removed stays removed.
    """
    if entries:
        with connection.cursor() as cursor:
            rows = zip(_values(list(entries.values())), entries, strict=True)
            cursor.executemany(_COMPLETE, [(kind, *rest, pk) for (kind, _, *rest), pk in rows])
        observer.announce_after_commit()


def _values(entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    """Return the values of the entries' columns."""
    real = datetime.now(UTC)
    # Entries of one transaction share few moments, and each conversion costs as much as a row.
    as_param = cache(sql.datetime_param)
    return [
        (
            e.kind,
            as_param(e.at),
            as_param(e.real_at or real),
            e.webhook,
            e.delivery,
            e.attempt,
            e.object,
            fast_json.encode(e.data).decode(),
        )
        for e in entries
    ]


def remove(ids: Iterable[int]) -> None:
    """Remove those of the entries that are open."""
    if found := list(ids):
        TimelineEntry.objects.filter(pk__in=found, is_open=True).delete()


def now() -> Cursor:
    """Return the cursor of the present: entries that are written from now on are after it."""
    return present()[0]


def present() -> tuple[Cursor, bool]:
    """Return the cursor of the present, and whether committed entries may be withheld.

    They are not readable yet: an API call before them is open, or on PostgreSQL an older
    transaction is in progress. Who has read something before that led to them asks for both at
    once: either they are up to the cursor, or they are withheld.
    """
    oldest = oldest_in_progress()
    # The entries first: what is open among them is still open below, or complete.
    last, first = _last(transaction=oldest), _first_open()
    if first is not None:
        if first <= last:
            is_alone = oldest is None
            last = _last(id=first.id) if is_alone else _last(transaction=first.transaction)
        return last, True
    select = f'SELECT 1 FROM {_TABLE} WHERE "transaction" >= %s LIMIT 1'
    return last, oldest is not None and bool(sql.fetch(select, [oldest]))


def _first_open() -> Cursor | None:
    since = datetime.now(UTC) - timedelta(seconds=OPEN_FOR)
    select = f'SELECT "transaction", id FROM {_TABLE} WHERE is_open AND real_at > %s'
    rows = sql.fetch(f'{select} ORDER BY "transaction", id LIMIT 1', [sql.datetime_param(since)])
    return Cursor(*rows[0]) if rows else None


def _last(
    kind: str | None = None, *, transaction: int | None = None, id: int | None = None
) -> Cursor:
    """Return the cursor of the last entry of a kind, with lower numbers than these.

    Raw SQL, because every wait reads it after each change: the ORM takes four times the CPU time.
    """
    values = {"kind = %s": kind, '"transaction" < %s': transaction, "id < %s": id}
    given = {condition: value for condition, value in values.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    select = f'SELECT "transaction", id FROM {_TABLE} {where}'
    rows = sql.fetch(f'{select} ORDER BY "transaction" DESC, id DESC LIMIT 1', [*given.values()])
    return Cursor(*rows[0]) if rows else Cursor()


def last_id() -> int:
    """Return the id of the newest entry that is committed, though older ones may follow."""
    return TimelineEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def last_reset() -> Cursor:
    """Return the cursor of the last reset or restore; without one, the beginning."""
    return _last(RESET, transaction=oldest_in_progress())


def between(since: Cursor, until: Cursor) -> QuerySet[TimelineEntry]:
    """Return the entries after a cursor, up to another one that `now` has returned, in order."""
    rows = TimelineEntry.objects.order_by("transaction", "id")
    if connection.vendor == "postgresql":
        # The first condition bounds the range of the index that is read.
        rows = rows.filter(transaction__gte=since.transaction, transaction__lte=until.transaction)
        return rows.exclude(transaction=since.transaction, id__lte=since.id)
    if since.transaction:
        return rows.none()
    return rows.filter(transaction=0, id__gt=since.id, id__lte=until.id)


def newest(since: Cursor, until: Cursor) -> QuerySet[TimelineEntry]:
    """Return the entries after a cursor up to any other one, the newest first."""
    rows = between(since, until).order_by("-transaction", "-id")
    if connection.vendor == "postgresql":
        rows = rows.exclude(transaction=until.transaction, id__gt=until.id)
    return rows


def is_withheld() -> bool:
    """Whether committed entries are not readable yet: see `present`."""
    return present()[1]


def cursor_of(entry: TimelineEntry) -> Cursor:
    return Cursor(entry.transaction, entry.pk)


def about_object(rows: QuerySet[TimelineEntry], object_id: str) -> QuerySet[TimelineEntry]:
    """Return those of the entries that are about an object, alone or with others."""
    entries = TimelineEntry.objects.order_by()
    deliveries = Event.objects.filter(object_id=object_id).values("delivery_id")
    alone = entries.filter(object_id=object_id).values("pk")
    with_others = entries.filter(object_id=None, delivery_id__in=deliveries).values("pk")
    # With a union SQLite uses both indexes; with OR it reads all entries in order.
    return rows.filter(pk__in=alone.union(with_others))


def objects_of(delivery_ids: Iterable[int]) -> dict[int, list[str]]:
    """Return the objects of the events of each delivery, in order, each once."""
    found: dict[int, list[str]] = {}
    ids = list(set(delivery_ids))
    with connection.cursor() as cursor:
        # Raw SQL: the ORM would take a third of the time of a delivery for it.
        marks = sql.placeholders(ids) or "NULL"
        query = "SELECT delivery_id, object_id FROM webhooks_event"
        cursor.execute(f"{query} WHERE delivery_id IN ({marks}) ORDER BY id", ids)
        rows = cursor.fetchall()
    for delivery_id, object_id in rows:
        objects = found.setdefault(delivery_id, [])
        if object_id and object_id not in objects:
            objects.append(object_id)
    return found


def only(objects: Sequence[str]) -> str | None:
    """Return the object if there is exactly one."""
    return objects[0] if len(objects) == 1 else None


def format_time(moment: datetime | None) -> str | None:
    """Return a moment with milliseconds, `2026-11-02T10:00:00.250+00:00`, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


# What the API of the sandbox shows is declared by parts, beside what it is made of.
Moment = Annotated[str, Also(format="date-time")]
Seconds = Annotated[float, Also(description="Seconds.")]
CursorText = Annotated[
    str, Also(description="A place in the timeline: opaque, monotonic, valid after a restart.")
]


def moment(source: str, type: Any = Moment) -> Field:
    """Return the field of a moment at a path of attributes."""
    read = attrgetter(source)
    return Field(type, lambda row: format_time(read(row)))


ENTRY = Part(
    "Entry",
    "An entry of the timeline; `at` is platform time, `real_at` real time.",
    {
        "cursor": Field(CursorText, lambda entry: str(cursor_of(entry))),
        "kind": Annotated[str, Also(enum=list(KINDS))],
        "at": moment("at"),
        "real_at": moment("real_at"),
        "webhook": Field(str | None, "webhook_id"),
        "delivery": Field(int | None, "delivery_id"),
        "attempt": int | None,
        "object": Field(str | None, "object_id"),
        "data": UntrustedJson,
    },
)
represent = ENTRY.represent


# What happens in queues, conversations and webhooks, in the transaction that changes them.


@receiver(changes_made)
def record_changes(changes: Sequence[Change], **kwargs: Any) -> None:
    """Write the changes of a transaction."""
    append(
        [
            Entry(
                CHANGE,
                change.at,
                object=change.object_id,
                data={
                    "object_class": change.object_class,
                    "type": change.type,
                    "product": change.product_id,
                    "from": change.status_from,
                    "to": change.status_to,
                    "actor": change.actor.role,
                },
            )
            for change in changes
        ]
    )


@receiver(post_save, sender=Message)
def record_message(instance: Message, created: bool, **kwargs: Any) -> None:
    """Write a message that somebody has posted; those of changes have entries of their own."""
    if not created or instance.type == STATE_CHANGE:
        return
    storing_changes.send(sender=None)
    data = {"id": instance.shown_id, "type": instance.type, "account": instance.account_id}
    about = instance.conversation.instance_id
    append([Entry(MESSAGE, clock.now(), object=about, data=data)])


@receiver(events_recorded)
def record_events(events: Sequence[RecordedEvent], **kwargs: Any) -> None:
    """Write the events of webhooks, from their rows: a change may have a thousand."""
    real_at = sql.datetime_param(datetime.now(UTC))
    for change, group in groupby(events, attrgetter("change")):
        data = {"from": change.status_from, "to": change.status_to} if change else {}
        source, params = sql.rows_of([[fast_json.encode(data).decode()]], {"data": "jsonb"})
        insert = _EVENTS.format(data=source, ids=sql.integers(event.event_id for event in group))
        sql.fetch(observer.notifying(insert), [real_at, *params])
    observer.announce_here_after_commit()


# What is removed.


def register_retention() -> None:
    """Register both, and remove the API calls that belong to pruned deliveries."""
    retention.KINDS.extend(
        [
            ByAge(API_CALLS, ApiCall, "real_started_at", days=lambda: settings.SIM_KEEP_DAYS),
            ByAge(
                "timeline entries",
                TimelineEntry,
                "real_at",
                days=lambda: settings.SIM_KEEP_DAYS,
                newest=lambda: KEEP,
            ),
        ]
    )
    pruning.DEPENDENTS.append(remove_calls)


def remove_calls(delivery_ids: Sequence[int], dry_run: bool) -> Mapping[str, int]:
    """Remove the API calls that belong to attempts of deliveries, with their bodies."""
    calls = ApiCall.objects.filter(delivery_id__in=delivery_ids)
    if dry_run:
        # Those that are old are counted by their age.
        oldest = retention.before(settings.SIM_KEEP_DAYS)
        return {API_CALLS: calls.filter(Q(real_started_at__gte=oldest) if oldest else Q()).count()}
    _, counts = calls.only("pk").delete()
    return {API_CALLS: counts.get(ApiCall._meta.label, 0)}
