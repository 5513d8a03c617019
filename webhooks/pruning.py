"""Prune finished deliveries with their attempts and events: by age, and by count per webhook.

A delivery is removed as a whole, and never while it is pending, while its handler may still work on
it (SIM_PROCESSING_TIMEOUT after its last attempt), while it has the last success or failure of its
webhook, or while something that an app names in KEEPERS refers to it. What is removed is added to
sums of the webhook, so that the counters can still be checked. How runs and steps work is in
`requests_queue.db.retention`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Count, Exists, F, Max, OuterRef
from django.db.models.functions import Coalesce, Greatest

from requests_queue import clock
from requests_queue.db import sql
from requests_queue.db.retention import Step
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

LOCK_WAIT = 0.5  # seconds for which a step waits for its webhook
READ = 1000  # deliveries that one step reads at most, and records of cleared backoffs
_COUNTED = 10_000  # deliveries that one statement counts
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
FINISHED = (Delivery.DELIVERED, Delivery.FAILED, Delivery.CANCELLED)

# Apps above this one add functions in `AppConfig.ready`: the first return those of the deliveries
# that must be kept; the others remove (or with `dry_run` count) what belongs to removed deliveries,
# and return how many rows that is, by what they are.
KEEPERS: list[Callable[[Sequence[int]], Iterable[int]]] = []
DEPENDENTS: list[Callable[[Sequence[int], bool], Mapping[str, int]]] = []


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is: a webhook, its last delivery that was read, and what its policy removes.

    Deliveries up to `beyond` are not among the newest SIM_KEEP_DELIVERIES of the webhook.
    """

    webhook: str
    last: int = 0
    beyond: int = 0

    def __str__(self) -> str:
        return f"{self.webhook} {self.last} {self.beyond}"


@dataclass(frozen=True, slots=True)
class _Policy:
    """Deliveries that ended before `old` are removed, those beyond the count before `handled`."""

    old: datetime
    handled: datetime

    def removes(self, pk: int, ended_at: datetime, beyond: int) -> bool:
        """Return whether a delivery that ended at that time is removed."""
        return ended_at < (self.handled if pk <= beyond else self.old)


class Deliveries:
    """Finished deliveries, as a kind of `retention`; a position is a `Place` as text."""

    name = "deliveries"

    def step(self, position: str, rows: int, *, dry_run: bool) -> Step:
        """Remove the next deliveries of a webhook, the oldest first."""
        if not (settings.SIM_KEEP_DAYS or settings.SIM_KEEP_DELIVERIES):
            return Step({})
        webhook, *rest = position.split(" ")
        if rest:
            place = Place(webhook, *map(int, rest))
        else:
            following = Webhook.objects.filter(pk__gt=webhook).order_by("pk")
            next_id = following.values_list("pk", flat=True).first()
            if next_id is None:
                return Step({})
            place = Place(next_id, beyond=beyond_count(next_id))
        now, days = clock.now(), settings.SIM_KEEP_DAYS
        handled = now - timedelta(seconds=settings.SIM_PROCESSING_TIMEOUT)
        old = min(handled, now - timedelta(days=days)) if days else _NEVER
        return _step(place, _Policy(old, handled), rows, dry_run)


def beyond_count(webhook_id: str) -> int:
    """Return the newest delivery that is not among the newest SIM_KEEP_DELIVERIES; 0 if none."""
    remaining, first = settings.SIM_KEEP_DELIVERIES, 2**63 - 1
    while remaining:
        [(count, lowest)] = sql.fetch(
            "SELECT COUNT(*), MIN(id) FROM (SELECT id FROM webhooks_delivery "
            "WHERE webhook_id = %s AND id < %s ORDER BY id DESC LIMIT %s) AS newest",
            [webhook_id, first, min(remaining, _COUNTED)],
        )
        if count < min(remaining, _COUNTED):
            return 0
        remaining, first = remaining - count, lowest
    return first - 1 if settings.SIM_KEEP_DELIVERIES else 0


def _step(place: Place, policy: _Policy, rows: int, dry_run: bool) -> Step:
    sql.limit_lock_wait(LOCK_WAIT)
    # An event and an attempt belong to most deliveries.
    limit = min(READ, max(rows // 2, 1))
    batch = _read(place, policy, limit)
    due = [pk for pk, is_finished, is_due in batch if is_finished and is_due][:rows]
    # What follows a delivery that is neither old nor beyond the count is neither.
    is_last = len(batch) < limit or not batch[-1][2]
    sizes = _removable(place, policy, due, dry_run)
    ids = _up_to(rows, sizes)
    if len(ids) < len(sizes):
        last, is_last = ids[-1], False
    elif len(due) == rows:
        last, is_last = due[-1], False
    else:
        last = batch[-1][0] if batch else place.last
    removed = _remove(place.webhook, ids, dry_run) if ids else {}
    if not is_last:
        return Step(removed, str(replace(place, last=last)))
    return Step({**removed, **_cleared(place.webhook, policy, dry_run)}, place.webhook)


def _read(place: Place, policy: _Policy, limit: int) -> list[tuple[int, bool, bool]]:
    """Return the next deliveries: whether they are finished, and old or beyond the count."""
    old = sql.datetime_param(policy.old)
    rows = sql.fetch(
        f"""
        SELECT id, state IN ({sql.placeholders(FINISHED)}), created_at < %s OR id <= %s
        FROM webhooks_delivery WHERE webhook_id = %s AND id > %s ORDER BY id LIMIT %s
        """,
        [*FINISHED, old, place.beyond, place.webhook, place.last, limit],
    )
    return [(pk, bool(finished), bool(due)) for pk, finished, due in rows]


def _removable(
    place: Place, policy: _Policy, ids: Sequence[int], dry_run: bool
) -> list[tuple[int, int]]:
    """Lock the deliveries that may be removed; return them with their numbers of rows.

    Those that another transaction holds are left for the next run. While a delivery is locked, no
    attempt of it is recorded, so the webhook's last success and failure don't become one of its.
    """
    rows = Delivery.objects.filter(pk__in=ids, state__in=FINISHED).order_by("pk")
    if not dry_run:
        rows = rows.select_for_update(skip_locked=True)
    rows_by_id = dict(rows.values_list("pk", "created_at")) if ids else {}
    attempts = Attempt.objects.filter(delivery__in=rows_by_id).order_by().values_list("delivery")
    calls = {
        pk: (n, last) for pk, n, last in attempts.annotate(n=Count("pk"), last=Max("finished_at"))
    }
    events = Event.objects.filter(delivery__in=rows_by_id).order_by().values_list("delivery")
    counts = dict(events.annotate(n=Count("pk")))
    references = _references(place.webhook, list(rows_by_id))
    return [
        (pk, 1 + counts.get(pk, 0) + calls.get(pk, (0, None))[0])
        for pk, created_at in rows_by_id.items()
        if pk not in references
        and policy.removes(pk, calls.get(pk, (0, created_at))[1], place.beyond)
    ]


def _references(webhook_id: str, ids: Sequence[int]) -> set[int]:
    """Return those of the deliveries that something refers to."""
    pointers = Webhook.with_deleted.filter(pk=webhook_id).values_list(
        "last_success__delivery", "last_failure__delivery"
    )
    references = {pk for row in pointers for pk in row if pk is not None}
    return references.union(*(keeper(ids) for keeper in KEEPERS)) if ids else references


def _up_to(rows: int, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return deliveries that have that many rows together, at least one delivery."""
    ids: list[int] = []
    for pk, size in sizes:
        rows -= size
        if ids and rows < 0:
            break
        ids.append(pk)
    return ids


def _remove(webhook_id: str, ids: Sequence[int], dry_run: bool) -> dict[str, int]:
    """Remove deliveries with all that belongs to them, and add them to the webhook's sums."""
    attempts = Attempt.objects.filter(delivery__in=ids)
    outcomes = dict(attempts.order_by().values_list("outcome").annotate(n=Count("pk")))
    removed = {"deliveries": len(ids), "attempts": sum(outcomes.values())}
    for dependent in DEPENDENTS:
        removed |= dependent(ids, dry_run)
    if dry_run:
        return removed | {"events": Event.objects.filter(delivery__in=ids).count()}
    deliveries = Delivery.objects.filter(pk__in=ids)
    until = deliveries.aggregate(last=Max("created_at"))["last"]
    _, counts = deliveries.only("pk").delete()
    removed["events"] = counts.get(Event._meta.label, 0)
    # Last, so that the webhook's row is locked for a moment only. Lock order: after deliveries.
    Webhook.with_deleted.filter(pk=webhook_id).update(
        pruned_events=F("pruned_events") + removed["events"],
        pruned_successes=F("pruned_successes") + outcomes.get(Attempt.SUCCESS, 0),
        pruned_failures=F("pruned_failures") + outcomes.get(Attempt.FAILURE, 0),
        pruned_unknown=F("pruned_unknown") + outcomes.get(Attempt.UNKNOWN, 0),
        pruned_until=Greatest(Coalesce("pruned_until", until), until),
    )
    return removed


def _cleared(webhook_id: str, policy: _Policy, dry_run: bool) -> dict[str, int]:
    """Remove old records of cleared backoffs that explain no stored attempt."""
    explained = Attempt.objects.filter(
        webhook=webhook_id, finished_at__lte=OuterRef("at"), finished_at__gte=OuterRef("began_at")
    )
    moments = Webhook.with_deleted.filter(pk=webhook_id).values_list("pruned_until", flat=True)
    before = max(policy.old, *(moment for moment in moments if moment is not None), _NEVER)
    rows = ClearedBackoff.objects.filter(~Exists(explained), webhook=webhook_id, at__lt=before)
    ids = list(rows.order_by("at").values_list("pk", flat=True)[:READ])
    if ids and not dry_run:
        ClearedBackoff.objects.filter(pk__in=ids).delete()
    return {"cleared backoffs": len(ids)} if ids else {}
