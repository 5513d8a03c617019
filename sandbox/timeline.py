"""The timeline: one ordered log of everything that happens in the sandbox.

Entries are written in the transaction of what they report. Their `data` by kind:

| kind | data |
|---|---|
| `change` | `object_class, product, from, to, actor` |
| `event` | `from, to`; no object for Trigger now |
| `attempt_started` | `type, method, url, forced, objects` |
| `attempt_finished` | the same, and `outcome, status, error, duration, why, state`, |
|  | `next_attempt_at, out_of_order` |
| `api_call` | `id, method, path, query, status, error_code, duration, actor, account, key, link` |
| `clock` | `action` (`advance`, `next`, `run-until-idle`, `wait`), `from, to`; |
|  | or `action` (`settle`), `url, ms` |
| `message` | `id, type, account` of a message in a conversation, without its text |
| `fault` | `id, name, kind, side, fired`, and `method, path, account` of an API call |
| `hold` | `action` (`taken`, `released`, `expired`), `id, note` |
| `reset` | `action` (`reset`, `restored`), `snapshot` |

`objects` are the objects of the delivery's events; an entry about exactly one object names it as
`object` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from requests_queue import fast_json, prepared, sql
from requests_queue.errors import Invalid
from sandbox import late_entries, notification
from sandbox.late_entries import Place
from sandbox.models import TimelineEntry
from sandbox.transactions import oldest_in_progress
from webhooks.models import Event

CHANGE, EVENT = "change", "event"
ATTEMPT_STARTED, ATTEMPT_FINISHED = "attempt_started", "attempt_finished"
API_CALL, MESSAGE, CLOCK, FAULT = "api_call", "message", "clock", "fault"
HOLD, RESET = "hold", "reset"
KINDS = (
    CHANGE,
    EVENT,
    ATTEMPT_STARTED,
    ATTEMPT_FINISHED,
    API_CALL,
    MESSAGE,
    CLOCK,
    FAULT,
    HOLD,
    RESET,
)
KEEP = 200_000  # entries; older ones are pruned

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
# Entries of a statement that isn't prepared: psycopg parses more than 50 parameters each time anew.
_ROWS = 6
_LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'sandbox_timelineentry'"


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
    if not late_entries.are_expected():
        _insert(_values(entries))
        return
    with transaction.atomic(savepoint=False):
        last = _last_id()
        if count := late_entries.reserve(last):
            first = last + count + 1
            _insert(_values(entries, range(first, first + len(entries))), "id")
        else:
            _insert(_values(entries))


def append_late(entries: Sequence[Entry], places: Sequence[Place]) -> None:
    """Write entries like `append`, those that have a place before what has been written since."""
    if not late_entries.are_expected():
        append(entries)
        return
    with transaction.atomic(savepoint=False):
        # SQLite gives new ids for NULL.
        _insert(_values(entries, late_entries.take(places, _last_id())), "id")


def _values(entries: Sequence[Entry], ids: Iterable[int | None] = ()) -> list[tuple[Any, ...]]:
    """Return the entries as rows, which begin with the ids if there are any."""
    real = datetime.now(UTC)
    # Entries of one transaction share few moments, and each conversion costs as much as a row.
    adapted = sql.datetime_params(
        at for entry in entries for at in (entry.at, entry.real_at or real)
    )
    rows = [
        (
            e.kind,
            adapted[e.at],
            adapted[e.real_at or real],
            e.webhook,
            e.delivery,
            e.attempt,
            e.object,
            fast_json.encode(e.data).decode(),
        )
        for e in entries
    ]
    return [(pk, *row) for pk, row in zip(ids, rows, strict=True)] if ids else rows


def _insert(rows: Sequence[Sequence[Any]], *more: str) -> None:
    columns = {**dict.fromkeys(more, "bigint"), **_COLUMNS}
    start = f"INSERT INTO sandbox_timelineentry ({', '.join(columns)})"
    marks = f"({sql.placeholders(list(columns))})"
    if connection.vendor == "postgresql" and (len(rows) > _ROWS or prepared.is_enabled()):
        source, values = sql.rows_of(rows, columns, is_joined=False)
        prepared.fetch(notification.notifying(f"{start} {source}"), values)
    elif len(rows) <= _ROWS:
        with connection.cursor() as cursor:
            insert = f"{start} VALUES {', '.join([marks] * len(rows))}"
            cursor.execute(notification.notifying(insert), [v for row in rows for v in row])
    else:
        with connection.cursor() as cursor:
            cursor.executemany(f"{start} VALUES {marks}", rows)
    notification.announce_here_after_commit()


def _last_id() -> int:
    """Return the last id that SQLite has given; call in a transaction.

    By the driver: Django's cursor takes several times as long as this statement.
    """
    with connection.wrap_database_errors:
        row = connection.connection.execute(_LAST_ID).fetchone()
    return row[0] if row else 0


def now() -> Cursor:
    """Return the cursor of the present: entries that are written from now on are after it."""
    last, first = _last(), late_entries.first()
    if first is not None and first <= last.id:
        late_entries.writer()
        # The entries first: one whose place is forgotten meanwhile is committed, and read later.
        last, first = _last(), late_entries.first()
    return last if first is None else min(last, Cursor(last.transaction, first - 1))


def last_id() -> int:
    """Return the id of the newest entry that is committed, though older ones may follow."""
    return TimelineEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _last() -> Cursor:
    last = _readable().order_by("-transaction", "-id").values_list("transaction", "id").first()
    return Cursor(*last) if last is not None else Cursor()


def last_reset() -> Cursor:
    """Return the cursor of the last reset or restore; without one, the beginning."""
    resets = _readable().filter(kind=RESET).order_by("-transaction", "-id")
    last = resets.values_list("transaction", "id").first()
    return Cursor(*last) if last is not None else Cursor()


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


def before(until: Cursor, count: int) -> list[TimelineEntry]:
    """Return the last entries up to a cursor, in order."""
    return list(newest(Cursor(), until)[:count])[::-1]


def is_withheld() -> bool:
    """Whether committed entries are not readable yet.

    On PostgreSQL an older transaction is in progress, on SQLite entries before them are not
    written yet.
    """
    if late_entries.first() is not None:
        late_entries.writer()
        first = late_entries.first()
        return first is not None and TimelineEntry.objects.filter(pk__gt=first).exists()
    oldest = oldest_in_progress()
    return oldest is not None and TimelineEntry.objects.filter(transaction__gte=oldest).exists()


def _readable() -> QuerySet[TimelineEntry]:
    """Return the entries up to the oldest transaction in progress."""
    # Two statements: whatever ended before the first one is visible to the second.
    oldest = oldest_in_progress()
    rows = TimelineEntry.objects.all()
    return rows if oldest is None else rows.filter(transaction__lt=oldest)


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


def represent(entry: TimelineEntry) -> dict[str, Any]:
    """Return an entry as the API shows it."""
    return {
        "cursor": str(cursor_of(entry)),
        "kind": entry.kind,
        "at": format_time(entry.at),
        "real_at": format_time(entry.real_at),
        "webhook": entry.webhook_id,
        "delivery": entry.delivery_id,
        "attempt": entry.attempt,
        "object": entry.object_id,
        "data": entry.data,
    }


def format_time(moment: datetime | None) -> str | None:
    """Return a moment with milliseconds, `2026-11-02T10:00:00.250+00:00`, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")
