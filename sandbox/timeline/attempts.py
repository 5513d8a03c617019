"""Attempts in the timeline: their entries, and which one an API call belongs to.

Of the attempts of the account's webhooks that started within SIM_PROCESSING_TIMEOUT before the
call, it is one whose event is about an object that the call names, else one in flight at that time,
else the latest. The link is certain if the object matches or there is only one such attempt.

While the clock is frozen at a stop of a move, a call and an attempt have the same platform time:
there the real time at which the attempt started decides, as the timeline has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.dispatch import receiver

from requests_queue.db import sql
from requests_queue.redaction import Redaction
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Entry
from webhooks.delivery.attempt import RecordedAttempt
from webhooks.delivery.claim import Claim
from webhooks.http.headers import secret_values
from webhooks.signals import attempts_recorded, attempts_started

MAX_OBJECTS = 1000  # objects of one batch of calls that are looked up
_RECENT = 10  # of the latest attempts of a webhook, apart from those in flight
_MAX_WEBHOOKS = 200  # of the accounts of one batch; SQLite unites at most 500 selections
# A call's platform time is calculated when it is stored: a move that ended in between may have
# changed it a little.
_TOLERANCE = timedelta(seconds=1)


# Entries.


@receiver(attempts_started)
def record_starts(claims: Sequence[Claim], **kwargs: Any) -> None:
    """Write the starts of attempts, before their requests are sent."""
    objects = timeline.objects_of(each.delivery_id for each in claims)
    for each in claims:
        # A claimed delivery gets no more events.
        each.shared.objects[each.delivery_id] = objects.get(each.delivery_id, [])
    timeline.append(
        [
            _attempt(timeline.ATTEMPT_STARTED, each, each.number, objects.get(each.delivery_id, []))
            for each in claims
        ]
    )


@receiver(attempts_recorded)
def record_ends(attempts: Sequence[RecordedAttempt], **kwargs: Any) -> None:
    """Write the ends of attempts."""
    objects: dict[int, list[str]] = {}
    for claim in (each.result.claim for each in attempts):
        if claim.delivery_id in claim.shared.objects:
            objects[claim.delivery_id] = claim.shared.objects[claim.delivery_id]
    # Of lost workers, and of validators.
    if others := {each.result.claim.delivery_id for each in attempts} - objects.keys():
        objects |= timeline.objects_of(others)
    timeline.append([_finished(each, objects) for each in attempts])


def _finished(attempt: RecordedAttempt, objects: dict[int, list[str]]) -> Entry:
    result = attempt.result
    about = objects.get(result.claim.delivery_id, [])
    return _attempt(
        timeline.ATTEMPT_FINISHED,
        result.claim,
        attempt.number,
        about,
        attempt,
        outcome=result.outcome,
        status=result.response.status if result.response else None,
        error=result.error,
        duration=result.duration,
        why=attempt.why,
        state=attempt.state,
        next_attempt_at=timeline.format_time(attempt.next_attempt_at),
        out_of_order=attempt.out_of_order,
    )


def _attempt(
    kind: str,
    claim: Claim,
    number: int,
    objects: list[str],
    attempt: RecordedAttempt | None = None,
    **data: Any,
) -> Entry:
    webhook = claim.webhook
    secrets = (webhook.jwt_secret, *secret_values(webhook.headers))
    sent = {
        "type": webhook.type,
        "method": webhook.http_method,
        "url": _shown_url(webhook.external_url, secrets),
        "forced": claim.forced,
        "objects": objects,
    }
    return Entry(
        kind,
        attempt.finished_at if attempt else claim.started_at,
        webhook.id,
        claim.delivery_id,
        number,
        timeline.only(objects),
        {**sent, **data},
    )


@lru_cache(maxsize=1000)
def _shown_url(url: str, secrets: tuple[str, ...]) -> str:
    return Redaction(secrets).text(url)


# Links.


@dataclass(frozen=True, slots=True)
class Caller:
    """What decides about the link of a call."""

    account: str
    started_at: datetime
    objects: frozenset[str]
    real_started_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """An attempt of a webhook; `finished_at` is None while it is in flight."""

    account: str
    webhook: str
    delivery: int
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None

    @property
    def key(self) -> tuple[int, int]:
        """The delivery and the number of the attempt."""
        return self.delivery, self.attempt

    def order(self) -> tuple[Any, ...]:
        """Return the key by which the latest attempt is the greatest."""
        return (self.finished_at is None, self.started_at, self.delivery, self.attempt)


# The last attempts of each of the webhooks `recent`; SQLite has no lateral joins.
_OF_WEBHOOK = f"FROM webhooks_attempt WHERE webhook_id = recent.id ORDER BY id DESC LIMIT {_RECENT}"
_READ = "webhook_id, delivery_id, number, started_at, finished_at"
_LATEST = {
    "sqlite": f"JOIN webhooks_attempt l ON l.id IN (SELECT id {_OF_WEBHOOK})",
    "postgresql": f"JOIN LATERAL (SELECT {_READ} {_OF_WEBHOOK}) AS l ON TRUE",
}


@dataclass(frozen=True, slots=True)
class Link:
    """The attempt that a call belongs to."""

    webhook: str
    delivery: int
    attempt: int
    certainty: str


def find_links(calls: Sequence[Caller]) -> list[Link | None]:
    """Return the link of each call, in order; at most four statements."""
    if not calls:
        return []
    accounts = sorted({call.account for call in calls})
    first = min(call.started_at for call in calls)
    limit = timedelta(seconds=settings.SIM_PROCESSING_TIMEOUT)
    since = sql.datetime_param(first - limit)
    about = _about({pk for call in calls for pk in call.objects}, accounts, since)
    named = [each for candidates in about.values() for each in candidates]
    started = _real_starts(named, first)

    def choose(call: Caller, candidates: Iterable[Candidate], *, by_object: bool) -> Link | None:
        at = call.real_started_at
        earlier = [each for each in candidates if started.get(each.key, at) <= at]
        return _choose(call, earlier, limit, by_object=by_object)

    links = [
        choose(call, (each for pk in call.objects for each in about.get(pk, ())), by_object=True)
        for call in calls
    ]
    if None in links:
        recent = [*_recent(accounts, since), *named]
        started |= _real_starts(recent, first)
        links = [
            link or choose(call, recent, by_object=False)
            for call, link in zip(calls, links, strict=True)
        ]
    return links


def _real_starts(
    candidates: Iterable[Candidate], first: datetime
) -> dict[tuple[int | None, int | None], datetime]:
    """Return when attempts really started whose platform time doesn't say that it was earlier."""
    deliveries = {each.delivery for each in candidates if each.started_at >= first}
    if not deliveries:
        return {}
    rows = TimelineEntry.objects.filter(kind=timeline.ATTEMPT_STARTED, delivery_id__in=deliveries)
    starts = rows.order_by().values_list("delivery_id", "attempt", "real_at")
    return {(delivery, attempt): at for delivery, attempt, at in starts}


def _choose(
    call: Caller, candidates: Iterable[Candidate], limit: timedelta, *, by_object: bool
) -> Link | None:
    """Return the link of a call to an attempt that started within `limit` before it.

    `by_object`: the candidates are about an object that it names.
    """
    at, account = call.started_at, call.account
    earliest, latest = at - limit, at + _TOLERANCE
    own = [
        each
        for each in candidates
        if each.account == account and earliest <= each.started_at <= latest
    ]
    own = [each for each in own if each.started_at <= at] or own
    if not own:
        return None
    in_flight = [each for each in own if each.finished_at is None or each.finished_at >= at]
    best = max(in_flight or own, key=Candidate.order)
    # An attempt may be among the candidates several times.
    is_only = all(each.key == best.key for each in own)
    certainty = ApiCall.CERTAIN if by_object or is_only else ApiCall.LIKELY
    return Link(best.webhook, best.delivery, best.attempt, certainty)


def _recent(accounts: Sequence[str], since: Any) -> list[Candidate]:
    """Return the attempts in flight and the latest ones of the accounts' webhooks."""
    is_theirs, params = sql.one_of("w.account_id", accounts)
    rows = sql.fetch(
        f"""
        SELECT recent.account_id, l.webhook_id, l.delivery_id, l.number,
            l.started_at, l.finished_at
        FROM (
            SELECT w.id, w.account_id FROM webhooks_webhook w
            LEFT JOIN webhooks_attempt s ON s.id = w.last_success_id
            LEFT JOIN webhooks_attempt f ON f.id = w.last_failure_id
            WHERE w.deleted_at IS NULL AND {is_theirs}
            AND (s.finished_at >= %s OR f.finished_at >= %s) LIMIT {_MAX_WEBHOOKS}
        ) AS recent {_LATEST[connection.vendor]}
        UNION ALL
        SELECT w.account_id, d.webhook_id, d.id, d.attempts + 1, d.started_at, NULL
        FROM webhooks_delivery d {sql.indexed_by("delivery_calling")}
        JOIN webhooks_webhook w ON w.id = d.webhook_id
        WHERE d.state = 'calling' AND {is_theirs} AND w.deleted_at IS NULL
        """,
        [*params, since, since, *params],
    )
    return [candidate for row in rows if (candidate := _candidate(*row))]


def _about(
    objects: Collection[str], accounts: Sequence[str], since: Any
) -> dict[str, list[Candidate]]:
    """Return the attempts whose events are about the objects, by object."""
    ids = sorted(objects)[:MAX_OBJECTS]
    if not ids:
        return {}
    is_named, params = sql.one_of("e.object_id", ids)
    rows = sql.fetch(
        f"""
        SELECT e.object_id, w.account_id, e.webhook_id, e.delivery_id,
            a.number, a.started_at, a.finished_at,
            CASE d.state WHEN 'calling' THEN d.attempts + 1 END, d.started_at
        FROM webhooks_event e JOIN webhooks_delivery d ON d.id = e.delivery_id
        JOIN webhooks_webhook w ON w.id = e.webhook_id AND w.deleted_at IS NULL
        LEFT JOIN webhooks_attempt a ON a.delivery_id = d.id AND a.finished_at >= %s
        WHERE {is_named} AND (d.state = 'calling' OR a.id IS NOT NULL)
        """,
        [since, *params],
    )
    result: dict[str, list[Candidate]] = {}
    for object_id, account, webhook, delivery, *finished, number, started_at in rows:
        if account in accounts:
            in_flight = (number, started_at, None)
            result.setdefault(object_id, []).extend(
                candidate
                for each in (finished, in_flight)
                if (candidate := _candidate(account, webhook, delivery, *each))
            )
    return result


def _candidate(
    account: str, webhook: str, delivery: int, number: int | None, started_at: Any, finished_at: Any
) -> Candidate | None:
    """Return the attempt of a row, if there is one."""
    started, finished = sql.datetime_value(started_at), sql.datetime_value(finished_at)
    if number is None or started is None:
        return None
    return Candidate(account, webhook, delivery, number, started, finished)
