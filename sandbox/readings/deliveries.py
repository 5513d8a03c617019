"""Deliveries as `/sandbox/deliveries` shows them, and forecasts of their next attempts.

Secrets are masked as the portal masks them. A list takes a constant number of queries.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    BinaryField,
    Case,
    Exists,
    F,
    OuterRef,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Length

from portal.queues.parameters import has_password
from portal.queues.parameters import masked as without_passwords
from requests_queue import clock
from requests_queue.api.json_validation import parse_json
from sandbox.readings import handler_activity
from sandbox.readings.handler_activity import HandlerActivity, Key
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Cursor, format_time
from webhooks import conf, next_attempt
from webhooks.delivery.request import JOSE, TOKEN_HEADERS, order_claims
from webhooks.delivery.retry import AttemptSummary, decide
from webhooks.http.headers import masked
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.next_attempt import WorkerLoad
from webhooks.states import FAILURE, BackoffState, Policy
from webhooks.types import EVENT

Json = dict[str, Any]

LISTED_BODY = 4096  # bytes of a body up to which a list shows it
MAX_LISTED, MAX_ATTEMPTS = 10, 1000  # latest attempts of a delivery in a list, and alone
MAX_EVENTS = 100  # first events of a delivery
MAX_ROWS = 1000  # attempts of a forecast
_TOKEN_NAMES = frozenset(name.lower() for name in TOKEN_HEADERS["both"])


def rows(
    *,
    webhook: str | None = None,
    object_id: str | None = None,
    state: str | None = None,
    since: Cursor | None = None,
) -> QuerySet[Delivery]:
    """Return the deliveries of all accounts, the newest first.

    With `since`, those with an event or attempt after that cursor.
    """
    found = Delivery.objects.filter(webhook__deleted_at=None).order_by("-pk")
    found = found.select_related("webhook")
    if webhook:
        found = found.filter(webhook=webhook)
    if object_id:
        found = found.filter(
            Exists(Event.objects.filter(delivery=OuterRef("pk"), object_id=object_id))
        )
    if state:
        found = found.filter(state=state)
    if since is not None:
        entries = timeline.between(since, timeline.now()).filter(delivery_id__isnull=False)
        found = found.filter(pk__in=entries.order_by().values("delivery_id"))
    return found


def represent(
    deliveries: Iterable[Delivery], now: datetime, *, is_whole: bool = False
) -> list[Json]:
    """Return the deliveries as JSON; `is_whole`: with all attempts, and bodies of any size."""
    shown = list(deliveries)
    ids = [row.pk for row in shown]
    events: dict[int, list[Event]] = defaultdict(list)
    for event in Event.objects.filter(delivery__in=ids).order_by("pk"):
        if len(events[event.delivery_id]) < MAX_EVENTS:
            events[event.delivery_id].append(event)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in _attempts(ids, is_whole=is_whole):
        attempts[attempt.delivery_id].append(attempt)
    activities = handler_activity.for_attempts(
        [(attempt.delivery_id, attempt.number) for rows in attempts.values() for attempt in rows],
        with_bodies=is_whole,
    )
    load = WorkerLoad()
    return [
        _delivery(row, events[row.pk], attempts[row.pk], activities, now, load) for row in shown
    ]


def _attempts(ids: Sequence[int], *, is_whole: bool) -> QuerySet[Attempt]:
    found = Attempt.objects.filter(delivery__in=ids).order_by("delivery", "number")
    if is_whole:
        return found.filter(number__gt=F("delivery__attempts") - MAX_ATTEMPTS)
    # Large bodies are not read from the database.
    bodies: Json = {
        f"listed_{name}": Case(
            When(**{f"{name}_length__lte": LISTED_BODY}, then=F(name)),
            default=Value(None),
            output_field=kind(),
        )
        for name, kind in (("request_body", TextField), ("response_body", BinaryField))
    }
    return (
        found.filter(number__gt=F("delivery__attempts") - MAX_LISTED)
        .annotate(
            request_body_length=Length("request_body"), response_body_length=Length("response_body")
        )
        .annotate(**bodies)
        .defer("request_body", "response_body")
    )


def _delivery(
    row: Delivery,
    events: Sequence[Event],
    attempts: Sequence[Attempt],
    activities: Mapping[Key, HandlerActivity],
    now: datetime,
    load: WorkerLoad,
) -> Json:
    step = next_attempt.of_delivery(row, now, load)
    reason = step.why
    if step.at is not None and not reason:
        reason = next_attempt.of_webhook(row.webhook, now, pending=1, load=load).why
    return {
        "id": row.pk,
        "webhook": row.webhook_id,
        "state": row.state,
        "forced": row.forced,
        "created_at": format_time(row.created_at),
        "objects": list(dict.fromkeys(event.object_id for event in events if event.object_id)),
        "events": [
            {
                "object": event.object_id or None,
                "from": event.status_from or None,
                "to": event.status_to or None,
                "at": format_time(event.at),
            }
            for event in events
        ],
        "attempts_made": row.attempts,
        "attempts": [_attempt(attempt, activities) for attempt in attempts],
        "next_attempt_at": format_time(step.at),
        "next_attempt_reason": reason,
    }


def _attempt(row: Attempt, activities: Mapping[Key, HandlerActivity]) -> Json:
    activity = activities.get((row.delivery_id, row.number), HandlerActivity())
    return {
        "number": row.number,
        "outcome": row.outcome,
        "started_at": format_time(row.started_at),
        "finished_at": format_time(row.finished_at),
        "duration": row.duration,
        "request": {
            "method": row.method,
            "url": row.url,
            "headers": masked(row.request_headers),
            **_body(row, "request_body"),
        },
        "token": _token(row),
        "response": _response(row),
        "error": row.error,
        "redacted": row.redacted,
        "reason": row.why,
        "next_attempt_at": format_time(row.next_attempt_at),
        "faults": row.faults,
        "handler_activity": handler_activity.represent(activity),
    }


def _token(row: Attempt) -> Json | None:
    """Return the decoded token without its signature, which is not stored."""
    if not row.claims:
        return None
    names = [name for name in row.request_headers if name.lower() in _TOKEN_NAMES]
    return {"sent_in": names, "header": JOSE, "claims": order_claims(row.claims)}


def _response(row: Attempt) -> Json | None:
    if row.status_code is None:
        return None
    return {
        "status": row.status_code,
        "headers": [[name, value] for name, value in row.response_headers],
        **_body(row, "response_body"),
        "is_truncated": row.truncated,
    }


def _body(row: Attempt, name: str) -> Json:
    """Return a body as text, with passwords masked; None if a list does not show it."""
    raw = row.__dict__.get(f"listed_{name}", ...)
    if raw is ...:
        raw = getattr(row, name)
    if raw is None:
        return {"body": None, "size": getattr(row, f"{name}_length")}
    content = raw.encode() if isinstance(raw, str) else bytes(raw)
    text = content.decode("utf-8", "backslashreplace")
    return {"body": _masked_text(text), "size": len(content)}


def _masked_text(text: str) -> str:
    if '"password"' not in text:
        return text
    try:
        parsed = parse_json(text)
    except (ValueError, RecursionError):
        return text
    if not has_password(parsed):
        return text
    masked = json.dumps(without_passwords(parsed), ensure_ascii=False)
    # Half of a surrogate pair, which JSON can escape, has no form in UTF-8.
    return masked.encode(errors="backslashreplace").decode()


# The forecast.


@dataclass(frozen=True, slots=True)
class Row:
    """An attempt, and whether its failure makes the webhook out of order.

    `number` is the attempt's of its delivery, `reason` why it is at that time.
    """

    number: int
    at: datetime
    reason: str
    out_of_order: bool


def forecast(
    backoff: BackoffState, policy: Policy, now: datetime, *, attempts: int = 0, reason: str = ""
) -> list[Row]:
    """Return the attempts until the webhook is out of order, at most MAX_ROWS.

    `attempts` are those that the delivery has made; `reason` is that of the next one.
    """
    rows: list[Row] = []
    while not backoff.out_of_order and len(rows) < MAX_ROWS:
        at = max(backoff.until or now, now)
        summary = AttemptSummary(FAILURE, started_at=at, backoff_began_at=backoff.began_at)
        decision = decide(summary, backoff, at, policy)
        is_last = decision.backoff.out_of_order
        rows.append(Row(attempts + len(rows) + 1, at, reason, is_last))
        backoff, reason = decision.backoff, decision.why
    return rows


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next attempts of a webhook if every one fails, and why they are or are none.

    `delivery` is the one that is sent first, None without a pending one.
    """

    webhook: Webhook
    now: datetime
    reason: str
    delivery: Delivery | None
    rows: list[Row]

    def represent(self) -> Json:
        return {
            "webhook": self.webhook.pk,
            "now": format_time(self.now),
            "delivery": self.delivery.pk if self.delivery else None,
            "reason": self.reason,
            "rows": [
                {
                    "attempt": row.number,
                    "at": format_time(row.at),
                    "reason": row.reason,
                    "out_of_order": row.out_of_order,
                }
                for row in self.rows
            ],
        }


def forecast_of(row: Webhook) -> Forecast:
    """Return the forecast of a webhook; without a pending delivery, for an event now."""
    now = clock.now()
    waiting = row.deliveries.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
    # Those that wait alone are sent when they are due.
    first = (
        waiting.exclude(due_at__gt=now).order_by("-forced", "pk").first()
        or waiting.order_by("due_at").first()
    )
    step = next_attempt.of_webhook(row, now, pending=waiting.count())
    steps: list[Row] = []
    if row.active and row.type == EVENT and not row.out_of_order:
        made = first.attempts if first else 0
        at = max(now, first.due_at) if first and first.due_at else now
        steps = forecast(row.backoff, conf.policy(), at, attempts=made, reason=step.why)
    return Forecast(row, now, step.why, first, steps)
