"""Deliveries as `/sandbox/deliveries` shows them, and forecasts of their next attempts.

Secrets are masked as the portal masks them. A list takes a constant number of queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Annotated

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

from requests_queue import clock
from requests_queue.api.resources import Constant, Field, Many, Part
from requests_queue.api.schema import FROM_OUTSIDE, Also, Json, Untrusted, UntrustedJson
from sandbox.timeline import handler_activity, timeline
from sandbox.timeline.call_storage import without_passwords
from sandbox.timeline.handler_activity import ACTIVITY, FiredFault, HandlerActivity, Redacted
from sandbox.timeline.timeline import Cursor, Moment, moment
from webhooks import conf, next_attempt
from webhooks.delivery.request import JOSE, TOKEN_HEADERS, order_claims
from webhooks.delivery.retry import AttemptSummary, decide
from webhooks.http.headers import masked
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.next_attempt import WorkerLoad
from webhooks.states import FAILURE, OUTCOMES, STATES, BackoffState, Policy
from webhooks.types import EVENT

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
    until: Cursor | None = None,
) -> QuerySet[Delivery]:
    """Return the deliveries of all accounts, the newest first.

    With `since`, those with an event or attempt after that cursor, up to `until` or now.
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
        entries = timeline.between(since, until or timeline.now()).filter(delivery_id__isnull=False)
        found = found.filter(pk__in=entries.order_by().values("delivery_id"))
    return found


def represent(
    deliveries: Iterable[Delivery],
    now: datetime,
    *,
    is_whole: bool = False,
    latest: int = MAX_ATTEMPTS,
    attempt: int | None = None,
) -> list[Json]:
    """Return the deliveries as JSON.

    `is_whole`: with whole bodies, and their `latest` attempts or one, in place of a few.
    """
    shown = list(deliveries)
    ids = [each.pk for each in shown]
    events: dict[int, list[Event]] = defaultdict(list)
    for event in Event.objects.filter(delivery__in=ids).order_by("pk"):
        if len(events[event.delivery_id]) < MAX_EVENTS:
            events[event.delivery_id].append(event)
    found = _attempts(ids, latest if is_whole else None)
    rows = list(found if attempt is None else found.filter(number=attempt))
    keys = [(row.delivery_id, row.number) for row in rows]
    activities = handler_activity.for_attempts(keys, with_bodies=is_whole)
    attempts: dict[int, list[_Attempt]] = defaultdict(list)
    for row, key in zip(rows, keys, strict=True):
        attempts[row.delivery_id].append(_Attempt(row, activities.get(key, HandlerActivity())))
    load = WorkerLoad()
    return [
        DELIVERY.represent(_with_next_attempt(row, events[row.pk], attempts[row.pk], now, load))
        for row in shown
    ]


def _attempts(ids: Sequence[int], latest: int | None) -> QuerySet[Attempt]:
    """Return the latest attempts; without a number those of a list, whose bodies are small."""
    found = Attempt.objects.filter(delivery__in=ids).order_by("delivery", "number")
    if latest is not None:
        return found.filter(number__gt=F("delivery__attempts") - latest)
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


def _with_next_attempt(
    row: Delivery,
    events: Sequence[Event],
    attempts: Sequence[_Attempt],
    now: datetime,
    load: WorkerLoad,
) -> _Delivery:
    step = next_attempt.of_delivery(row, now, load)
    reason = step.why
    if step.moment is not None and not reason:
        reason = next_attempt.of_webhook(row.webhook, now, pending=1, load=load).why
    return _Delivery(row, events, attempts, step.moment, reason)


# What the API shows.


@dataclass(frozen=True, slots=True)
class _Attempt:
    row: Attempt
    activity: HandlerActivity

    @property
    def token(self) -> Attempt | None:
        """Return the row if its request had a token."""
        return self.row if self.row.claims else None

    @property
    def response(self) -> Attempt | None:
        """Return the row if it has a response."""
        return None if self.row.status_code is None else self.row


@dataclass(frozen=True, slots=True)
class _Delivery:
    row: Delivery
    events: Sequence[Event]
    attempts: Sequence[_Attempt]
    next_attempt_at: datetime | None
    next_attempt_reason: str

    @property
    def objects(self) -> list[str]:
        """Return the objects of its events, each once."""
        return list(dict.fromkeys(event.object_id for event in self.events if event.object_id))


def _body(name: str) -> dict[str, Field]:
    """Return the fields of a body: its text, None if a list does not show it, and its size."""

    def content(row: Attempt) -> bytes | None:
        stored = row.__dict__.get(f"listed_{name}", ...)
        if stored is ...:
            stored = getattr(row, name)
        if stored is None:
            return None
        return stored.encode() if isinstance(stored, str) else bytes(stored)

    def text(row: Attempt) -> str | None:
        if (found := content(row)) is None:
            return None
        return without_passwords(found.decode("utf-8", "backslashreplace"))

    def size(row: Attempt) -> int:
        found = content(row)
        length: int = getattr(row, f"{name}_length") if found is None else len(found)
        return length

    return {"body": Field(Untrusted | None, text), "size": Field(int, size)}


REQUEST = Part(
    "SentRequest",
    "A request to a handler; `body` is null where a list leaves it out, `size` is in bytes.",
    {
        "method": str,
        "url": Untrusted,
        "headers": Field(
            Annotated[dict[str, str], FROM_OUTSIDE], lambda row: masked(row.request_headers)
        ),
        **_body("request_body"),
    },
)
TOKEN = Part(
    "Token",
    "A decoded token, and the headers that carried it; its signature is not stored.",
    {
        "sent_in": Field(
            list[str],
            lambda row: [name for name in row.request_headers if name.lower() in _TOKEN_NAMES],
        ),
        "header": Constant(JOSE, dict[str, str]),
        "claims": Field(UntrustedJson, lambda row: order_claims(row.claims)),
    },
)
RESPONSE = Part(
    "HandlerResponse",
    "A handler's response.",
    {
        "status": Field(int, "status_code"),
        "headers": Field(
            Annotated[list[list[str]], FROM_OUTSIDE],
            lambda row: list(map(list, row.response_headers)),
        ),
        **_body("response_body"),
        "is_truncated": Field(bool, "truncated"),
    },
)
ATTEMPT = Part(
    "Attempt",
    "An HTTP request of a delivery, and what followed from it.",
    {
        "number": Field(int, "row.number"),
        "outcome": Field(Annotated[str, Also(enum=list(OUTCOMES))], "row.outcome"),
        "started_at": moment("row.started_at"),
        "finished_at": moment("row.finished_at"),
        "duration": Field(Annotated[int, Also(description="Milliseconds.")], "row.duration"),
        "request": Field(REQUEST, "row"),
        "token": Field(TOKEN, empty=None),
        "response": Field(RESPONSE, empty=None),
        "error": Field(Untrusted, "row.error"),
        "redacted": Field(Redacted, "row.redacted"),
        # A validator's message, of a valid response.
        "reason": Field(Untrusted, "row.why"),
        "next_attempt_at": moment("row.next_attempt_at", Moment | None),
        "faults": Field(list[FiredFault], "row.faults"),
        "handler_activity": Field(ACTIVITY, "activity"),
    },
)
DELIVERY = Part(
    "Delivery",
    "A delivery; a list has its latest attempts.",
    {
        "id": Field(int, "row.pk"),
        "webhook": Field(str, "row.webhook_id"),
        "state": Field(Annotated[str, Also(enum=list(STATES))], "row.state"),
        "forced": Field(bool, "row.forced"),
        "created_at": moment("row.created_at"),
        "objects": list[str],
        "events": Many(
            Part(
                "DeliveryEvent",
                "An event; no object and status for Trigger now.",
                {
                    "object": Field(str | None, lambda event: event.object_id or None),
                    "from": Field(str | None, lambda event: event.status_from or None),
                    "to": Field(str | None, lambda event: event.status_to or None),
                    "at": moment("at"),
                },
            ),
            attrgetter("events"),
        ),
        "attempts_made": Field(int, "row.attempts"),
        "attempts": Many(ATTEMPT, attrgetter("attempts")),
        "next_attempt_at": moment("next_attempt_at", Moment | None),
        "next_attempt_reason": str,
    },
)


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


FORECAST = Part(
    "Forecast",
    "The next attempts of a webhook if every one fails; `delivery` is sent first.",
    {
        "webhook": Field(str, "webhook.pk"),
        "now": moment("now"),
        "delivery": Field(int | None, lambda each: each.delivery.pk if each.delivery else None),
        "reason": str,
        "rows": Many(
            Part(
                "ForecastRow",
                "An attempt, and whether its failure makes the webhook out of order.",
                {
                    "attempt": Field(int, "number"),
                    "at": moment("at"),
                    "reason": str,
                    "out_of_order": bool,
                },
            ),
            attrgetter("rows"),
        ),
    },
)


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
