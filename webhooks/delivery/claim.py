"""Claims: which deliveries may start now, who sends them, and until when.

A claim is two statements: `select` finds what may start, `take` marks it as in flight. One claim at
a time, so that the rules of the selection hold across workers. Rows that another transaction has
locked are skipped, so that a claim never waits.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from requests_queue import clock
from requests_queue.db import sql
from webhooks import tracing
from webhooks.delivery.request import Interceptor, PreparedRequest, ResendOverride, WebhookSettings
from webhooks.models import Delivery, Resend, Webhook
from webhooks.signals import attempts_started, claiming_deliveries
from webhooks.types import EVENT

LEASE = 30.0  # seconds after which the deliveries of a killed worker may be taken over
MAX_BATCH = 1000  # deliveries of one statement, so that locks are not held for long
_LOCK = 0x636C61696D  # "claim"


@dataclass(slots=True)
class Shared:
    """What the claims of one webhook in a batch share: payload and token are the same."""

    request: PreparedRequest | None = None
    # The objects of the events of each delivery, which a receiver of `attempts_started` has read.
    objects: dict[int, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process has claimed, with all that its request needs."""

    delivery_id: int
    token: uuid.UUID
    number: int
    forced: bool
    started_at: datetime
    webhook: WebhookSettings
    override: ResendOverride | None = field(default=None, repr=False)
    interceptor: Interceptor | None = field(default=None, repr=False)
    # When it was due (monotonic seconds), None where that isn't known: for lateness.
    due: float | None = field(default=None, compare=False)
    generation: int = 0  # of the data at the claim (`requests_queue.clock.read`)
    # What tracing has stored with its events (`webhooks.tracing`).
    marks: tuple[str, ...] = ()
    shared: Shared = field(default_factory=Shared, repr=False, compare=False)

    @property
    def key(self) -> tuple[int, uuid.UUID]:
        """Return what identifies it: another worker may claim the same delivery again."""
        return self.delivery_id, self.token

    @property
    def ids(self) -> dict[str, str | int]:
        """Return the ids that log lines about the attempt have."""
        return {
            "webhook": self.webhook.id,
            "delivery": self.delivery_id,
            "attempt": self.number,
            "account": self.webhook.account_id,
        }

    def with_override(self, resend: ResendOverride) -> Claim:
        """Return it with an override of what its request sends."""
        webhook = replace(
            self.webhook, external_url=resend.url, http_method=resend.method, headers=resend.headers
        )
        return replace(self, webhook=webhook, override=resend)


# Each gets the claims of a batch, in its transaction, and returns the interceptors of those whose
# requests it changes, by delivery; of several the last one decides.
interceptor_finders: list[Callable[[Sequence[Claim]], Mapping[int, Interceptor]]] = []


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a process, and how many of them are in use; shared fairly by `share`.

    A handler that hangs uses a slot for minutes. So a webhook's share shrinks as slots fill: the
    second half is for webhooks with nothing in flight, and the last tenth for those of them whose
    last request got a response.
    """

    total: int
    used: int = 0

    @property
    def free(self) -> int:
        """Return how many requests may start."""
        return max(0, self.total - self.used)

    @property
    def unreserved(self) -> int:
        """Return how many requests of webhooks whose last request got no response may start."""
        return max(0, self.total - self.total // 10 - self.used)

    def share(self, limit: int, *, responds: bool) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most.

        It is the limit until a quarter of the slots is in use, then it shrinks to 1 at a half. The
        last tenth is only for webhooks that `responds` is true for.
        """
        if not self.free:
            return 0
        quarter, half = self.total // 4, max(1, self.total // 2)
        if self.used < quarter:
            return limit
        if self.used < half:
            return 1 + (limit - 1) * (half - self.used) // (half - quarter)
        return 1 if responds or self.unreserved else 0


# The index `delivery_waiting` has these rows, in the order of webhooks and ids.
_PENDING = "state = 'waiting' AND NOT forced"
# A delivery that has lost its workers waits alone, until its own due date.
_DUE = f"{_PENDING} AND (due_at IS NULL OR due_at <= %(now)s)"
# The oldest due deliveries of each webhook: read from the index, whatever its backlog is.
_OLDEST = {
    "postgresql": f"""
        CROSS JOIN LATERAL (SELECT id FROM webhooks_delivery WHERE webhook_id = hook.webhook_id
            AND {_DUE} ORDER BY id LIMIT LEAST(cap, %(share)s) - in_flight) d
    """,
    "sqlite": f"""
        CROSS JOIN webhooks_delivery d ON d.id IN (
            SELECT id FROM webhooks_delivery INDEXED BY delivery_waiting
            WHERE webhook_id = hook.webhook_id AND {_DUE} ORDER BY id LIMIT %(share)s)
    """,
}
# The webhooks with pending deliveries, from one to the next one: others are not read.
_WEBHOOKS = f"""
    SELECT MIN(webhook_id) FROM webhooks_delivery WHERE {_PENDING}
    UNION ALL
    SELECT (SELECT MIN(webhook_id) FROM webhooks_delivery WHERE webhook_id > pending.webhook_id
        AND {_PENDING}) FROM pending WHERE webhook_id IS NOT NULL
"""
# While the last slots are reserved for those that respond, thousands of others may be pending.
_RESPONDING = f"""
    SELECT id FROM webhooks_webhook w WHERE responds AND active AND NOT out_of_order
    AND EXISTS (SELECT 1 FROM webhooks_delivery {{waiting}} WHERE webhook_id = w.id AND {_PENDING})
"""
# `place` is how many requests of the webhook are in flight once the delivery is. If `hook` were not
# materialized, PostgreSQL would count the requests of every active webhook.
_SELECT = """
    WITH RECURSIVE pending(webhook_id) AS ({webhooks}), hook AS MATERIALIZED (
        SELECT w.id AS webhook_id, w.responds,
            CASE WHEN w.earliest_possible_trigger IS NULL THEN %(limit)s ELSE 1 END AS cap, (
                SELECT COUNT(*) FROM webhooks_delivery c
                WHERE c.webhook_id = w.id AND c.state = 'calling' AND NOT c.forced
            ) AS in_flight
        FROM pending JOIN webhooks_webhook w ON w.id = pending.webhook_id
        WHERE w.active AND NOT w.out_of_order
        AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %(now)s)
    ), due AS (
        SELECT d.id, responds, cap,
            in_flight + ROW_NUMBER() OVER (PARTITION BY hook.webhook_id ORDER BY d.id) AS place
        FROM (SELECT * FROM hook WHERE in_flight < cap AND in_flight < %(share)s) hook {oldest}
    )
    SELECT id, responds, cap, place FROM due
    WHERE place <= cap AND place <= %(share)s AND (responds OR %(unreserved)s > 0)
    ORDER BY place, id LIMIT %(most)s
"""
_SELECT_FORCED = """
    SELECT id, responds, %(total)s AS cap, place FROM (
        SELECT d.id, w.responds, (
                SELECT COUNT(*) FROM webhooks_delivery c {calling}
                WHERE c.webhook_id = w.id AND c.state = 'calling' AND c.forced
            ) + ROW_NUMBER() OVER (PARTITION BY w.id ORDER BY d.id) AS place
        FROM webhooks_delivery d JOIN webhooks_webhook w ON w.id = d.webhook_id
        WHERE d.state = 'waiting' AND d.forced AND w.active
    ) forced
    WHERE place <= %(forced_share)s AND (responds OR %(unreserved)s > 0)
    ORDER BY id LIMIT %(most)s
"""


def select(limit: int, now: datetime, slots: Slots | None = None) -> tuple[list[int], bool]:
    """Return the ids of up to `limit` deliveries that may start now, in order, and if more may.

    Forced deliveries come first, then the oldest ones of each webhook, those of webhooks with few
    requests in flight first: within its backoff, its limit of requests in flight, its share of the
    slots, and one at a time after a failure. Without slots, nothing is shared.
    """
    total = slots.total if slots else limit
    shares = slots or Slots(limit * 4)
    values = {
        "now": sql.datetime_param(now),
        "limit": settings.SIM_MAX_IN_FLIGHT,
        "total": total,
        "share": shares.share(settings.SIM_MAX_IN_FLIGHT, responds=True),
        "forced_share": shares.share(total, responds=True),
        "unreserved": shares.unreserved,
        "most": limit + 1,
    }
    waiting = sql.indexed_by("delivery_waiting")
    webhooks = (_WEBHOOKS if shares.unreserved else _RESPONDING).format(waiting=waiting)
    statement = _SELECT.format(webhooks=webhooks, oldest=_OLDEST[connection.vendor])
    rows = [(True, *row) for row in sql.fetch(statement, values)]
    # Mostly there are none, and PostgreSQL takes longer to plan their selection than to look.
    if sql.fetch("SELECT 1 FROM webhooks_delivery WHERE state = 'waiting' AND forced LIMIT 1"):
        forced = _SELECT_FORCED.format(calling=sql.indexed_by("delivery_calling"))
        rows = [*((False, *row) for row in sql.fetch(forced, values)), *rows]
    candidates: list[tuple[bool, int]] = []
    for is_due, pk, responds, cap, place in rows[:limit]:
        if slots is None or place <= slots.share(cap, responds=bool(responds)):
            candidates.append((is_due, pk))
            slots = slots and replace(slots, used=slots.used + 1)
    return [pk for _, pk in sorted(candidates)], len(candidates) < len(rows)


@dataclass(frozen=True, slots=True)
class Batch:
    """The claims, and when they were made; `has_more` if more may start at once."""

    reading: clock.Reading
    claims: list[Claim] = field(default_factory=list)
    has_more: bool = False


# Repeats the conditions of the selection, since a failure may have been committed meanwhile. Not
# with EXISTS, for which PostgreSQL reads all webhooks.
_MAY_START = """
    AND (forced OR (
        SELECT NOT w.out_of_order
            AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
        FROM webhooks_webhook w WHERE w.id = webhook_id
    ))
"""
_MARK = """
    UPDATE webhooks_delivery
    SET state = 'calling', claim = %s, lease = {epoch} + %s, started_at = %s
    WHERE id IN (
        SELECT id FROM webhooks_delivery WHERE state = 'waiting' AND id IN ({ids}) {skip_locked}
    ) {where}
    RETURNING id, webhook_id, attempts, forced, created_at, due_at
"""


def lock() -> None:
    """Block all other claims until commit."""
    sql.advisory_lock(_LOCK)


def claim(limit: int, slots: Slots | None = None, *, generation: int | None = None) -> Batch:
    """Claim up to `limit` deliveries that may start now, MAX_BATCH at most, for LEASE seconds.

    `slots` are those of the process, shared fairly; without them only the limit counts. Nothing is
    claimed unless the data belongs to `generation` (None: any); with a limit of 0, only the clock
    is read.
    """
    if not limit:
        return Batch(clock.read())
    claiming_deliveries.send(sender=None)
    with transaction.atomic():
        lock()
        # With the lock, which a reset or restore takes too: the generation is that of the rows.
        reading = clock.read()
        if generation not in (None, reading.generation):
            return Batch(reading)
        ids, has_more = select(min(limit, MAX_BATCH), reading.now, slots)
        if not ids:
            return Batch(reading)
        params = [sql.datetime_param(reading.now)]
        # Read again: attempts that another process has recorded meanwhile end before these start.
        reading = clock.read()
        claims = take(ids, reading, where=_MAY_START, params=params)
    return Batch(reading, claims, has_more)


def take(
    ids: Sequence[int],
    reading: clock.Reading,
    lease: float = LEASE,
    *,
    where: str = "",
    params: Sequence[Any] = (),
) -> list[Claim]:
    """Claim those of the deliveries that are pending and not locked, for `lease` seconds.

    Call inside a transaction. Deliveries of a webhook that has just been deleted are left out.
    `where` is one more condition, with its parameters.
    """
    token, now, read_at = uuid.uuid4(), reading.now, time.monotonic()
    statement = _MARK.format(
        epoch=sql.epoch(), ids=sql.integers(ids), skip_locked=sql.skip_locked(), where=where
    )
    values = [sql.uuid_param(token), lease, sql.datetime_param(now), *params]
    rows = sorted(sql.fetch(statement, values))
    webhooks = load_webhooks({webhook_id for _, webhook_id, *_ in rows})
    shared = {webhook_id: Shared() for webhook_id in webhooks}
    marks = tracing.marks(pk for pk, *_ in rows)
    claims = []
    for pk, webhook_id, attempts, forced, created_at, due_at in rows:
        if webhook := webhooks.get(webhook_id):
            due = _due(webhook, attempts, bool(forced), created_at, due_at)
            claims.append(
                Claim(
                    pk,
                    token,
                    attempts + 1,
                    bool(forced),
                    now,
                    webhook,
                    due=None if due is None else read_at - max(0.0, (now - due).total_seconds()),
                    generation=reading.generation,
                    marks=marks.get(pk, ()),
                    shared=shared[webhook_id],
                )
            )
    claims = _with_resends(claims)
    if claims:
        attempts_started.send(sender=None, claims=claims)
    for find in interceptor_finders if claims else ():
        interceptors = find(claims)
        claims = [
            replace(each, interceptor=interceptors.get(each.delivery_id, each.interceptor))
            for each in claims
        ]
    return claims


def _due(
    webhook: WebhookSettings, attempts: int, forced: bool, created_at: Any, due_at: Any
) -> datetime | None:
    """Return when a delivery of an event was due, None if that isn't known.

    Not its creation, if it waited for the end of a backoff, which a success or a user may have
    ended early, or for its own due date. Validators are called at once and are never due.
    """
    created = sql.datetime_value(created_at)
    if webhook.type != EVENT or created is None or forced:
        return created if forced and webhook.type == EVENT else None
    ends = (webhook.earliest_possible_trigger, webhook.cleared_at, sql.datetime_value(due_at))
    # A repeated attempt without a backoff follows one whose outcome is unknown.
    default = None if attempts else created
    return max((end for end in ends if end is not None and end > created), default=default)


def _with_resends(claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims, with an override for the first attempt of each resend.

    One statement if any of them may be a resend, none for events.
    """
    first = [each.delivery_id for each in claims if each.forced and each.number == 1]
    rows = Resend.objects.in_bulk(first) if first else {}

    def with_resend(claim: Claim) -> Claim:
        if (row := rows.get(claim.delivery_id)) is None:
            return claim
        payload, altered = json.loads(row.payload), row.revision != claim.webhook.revision
        return claim.with_override(
            ResendOverride(row.url, row.method, row.headers, payload, row.body, altered, row.preset)
        )

    return [with_resend(each) for each in claims]


_NAMES = [each.name for each in fields(WebhookSettings)]
# The columns of the webhook; the last three fields come from other tables.
_COLUMNS = _NAMES[:-3]
_MOMENTS = ("gate_closed_at", "earliest_possible_trigger", *_NAMES[-3:])
_ENCODED: dict[str, Any] = {
    name: Webhook._meta.get_field(name) for name in ("jwt_secret", "headers", "data")
}


def load_webhooks(webhook_ids: Collection[str]) -> dict[str, WebhookSettings]:
    """Return what requests need of the webhooks, by id, without deleted ones."""
    if not webhook_ids:
        return {}
    # Raw SQL: the ORM takes half of the time of a claim. PostgreSQL plans joins for longer.
    rows = sql.fetch(
        f"""
        SELECT {", ".join(_COLUMNS)},
            (SELECT finished_at FROM webhooks_attempt WHERE id = w.last_success_id),
            (SELECT finished_at FROM webhooks_attempt WHERE id = w.last_failure_id),
            (SELECT MAX(at) FROM webhooks_clearedbackoff WHERE webhook_id = w.id)
        FROM webhooks_webhook w
        WHERE deleted_at IS NULL AND id IN ({sql.placeholders(webhook_ids)})
        """,
        list(webhook_ids),
    )
    webhooks = {}
    for row in rows:
        values = dict(zip(_NAMES, row, strict=True))
        for name, column in _ENCODED.items():
            values[name] = column.from_db_value(values[name], None, connection)
        for name in _MOMENTS:
            values[name] = sql.datetime_value(values[name])
        webhooks[values["id"]] = WebhookSettings(**values)
    return webhooks


def renew(claims: Sequence[Claim]) -> None:
    """Renew the leases of requests in flight, except of rows that another transaction holds."""
    for start in range(0, len(claims), MAX_BATCH):
        batch = claims[start : start + MAX_BATCH]
        tokens = {each.token for each in batch}
        sql.fetch(
            f"""
            UPDATE webhooks_delivery SET lease = {sql.epoch()} + %s WHERE id IN (
                SELECT id FROM webhooks_delivery
                WHERE state = 'calling' AND id IN ({sql.integers(c.delivery_id for c in batch)})
                AND claim IN ({sql.placeholders(list(tokens))}) {sql.skip_locked()}
            )
            """,
            [LEASE, *map(sql.uuid_param, tokens)],
        )


def expire_leases() -> None:
    """Expire all leases now, for a process that knows that no other one is running.

    The claims are replaced, so that none of another process is renewed after a restore.
    """
    Delivery.objects.filter(state=Delivery.CALLING).update(lease=0, claim=uuid.uuid4())


def lost_claims(generation: int = 0) -> list[Claim]:
    """Return claims with expired leases, which are recorded while the data has `generation`."""
    rows = sql.fetch(
        f"""
        SELECT webhook_id, id, claim, attempts, forced, started_at
        FROM webhooks_delivery {sql.indexed_by("delivery_calling")}
        WHERE state = 'calling' AND lease < {sql.epoch()} ORDER BY id LIMIT {MAX_BATCH}
        """
    )
    webhooks = load_webhooks({webhook_id for webhook_id, *_ in rows})
    claims = []
    for webhook_id, pk, claim, attempts, forced, start in rows:
        token, started_at = sql.uuid_value(claim), sql.datetime_value(start)
        if (webhook := webhooks.get(webhook_id)) and token and started_at:
            one = Claim(pk, token, attempts + 1, bool(forced), started_at, webhook)
            claims.append(replace(one, generation=generation))
    return _with_resends(claims)
