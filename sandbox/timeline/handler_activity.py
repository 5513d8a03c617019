"""Handler activity: the API calls that attempts led to, and notes on them, for pages and the API.

| code of a note | text |
|---|---|
| `no_api_calls` | Returned 200 but made no API calls. |
| `still_pending` | Returned 200, but PR-… is still pending. |
| `rejected` | approve was rejected: 400 REQ_003 … |
| `other_product` | approve was called for PR-… of PRD-…, but the webhook is for PRD-…. |

The first two say what a handler has not done, so they are derived only when it has had the time.

Calls are read with the objects that they name, at most four statements for any number of calls, and
their attempts with a number of statements that doesn't depend on how many they are. Passwords in
bodies are masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any, Literal, TypedDict

from django.db.models import Max, QuerySet

from requests_queue import clock
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Also, Untrusted
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Parameter
from requests_queue.db import sql
from requests_queue.queues import base
from sandbox.models import ApiCall, ApiCallObject
from sandbox.timeline import api_calls
from sandbox.timeline.call_storage import password_names, without_passwords
from sandbox.timeline.timeline import moment
from webhooks.models import Attempt, Event
from webhooks.types import EVENT

_BODIES = ("request_body", "response_body")
# Of which calls bodies are loaded.
ALL, ERRORS, NONE = "all", "errors", "none"
# Delivery and number of an attempt.
Key = tuple[int, int]

# Seconds of platform time after an attempt before a note says what its handler has not done.
# Platform time is never slower than real time, and a move waits for the handler first.
PATIENCE = 5.0
MAX_CALLS = 1000  # that are read at once

NO_API_CALLS, STILL_PENDING = "no_api_calls", "still_pending"
REJECTED, OTHER_PRODUCT = "rejected", "other_product"
MAX_REJECTED = 10  # notes on rejected calls of one attempt
_MAX_MESSAGE = 300  # characters of an API error
_PREFIX = "/public/v1"
_ACTION = re.compile(r"/(?P<id>[A-Z]{2,6}-[\d-]+)/(?P<name>[a-z][a-z_-]*)$")
_OBJECT = re.compile(r"/([A-Z]{2,6}-[\d-]+)(?=/|$)")
_PAST = {"submit": "submitted"}


@dataclass(frozen=True, slots=True)
class Call:
    """An API call: its row, apart from the bodies, and the ids in its path and body."""

    row: ApiCall
    objects: list[str]
    request_body: str = field(default="", repr=False)
    response_body: str = field(default="", repr=False)

    @property
    def is_failed(self) -> bool:
        """Return whether the API refused the call."""
        return self.row.status >= 400

    @property
    def action(self) -> tuple[str, str] | None:
        """Return the name of the action that it runs and the object's id, or None."""
        match = _ACTION.search(self.row.path) if self.row.method == "POST" else None
        return (match["name"], match["id"]) if match else None

    @property
    def target(self) -> str | None:
        """Return the last object that the path names, or None."""
        ids = _OBJECT.findall(self.row.path)
        return ids[-1] if ids else None

    @property
    def title(self) -> str:
        """Return method and path without the API's prefix."""
        return f"{self.row.method} {self.row.path.removeprefix(_PREFIX) or '/'}"

    @property
    def name(self) -> str:
        """Return the action's name, or the title of another call."""
        return self.action[0] if self.action else self.title


def load(rows: QuerySet[ApiCall], bodies_of: str = ALL) -> list[Call]:
    """Return the calls with the ids that they name, in order."""
    read = list(rows.defer(*_BODIES))
    objects: dict[int, list[str]] = {}
    named = ApiCallObject.objects.filter(call__in=[row.pk for row in read]).order_by("pk")
    for call_id, object_id in named.values_list("call_id", "object_id"):
        objects.setdefault(call_id, []).append(object_id)
    shown = [
        row.pk for row in read if bodies_of == ALL or (bodies_of == ERRORS and row.status >= 400)
    ]
    texts = ApiCall.objects.filter(pk__in=shown).values_list("pk", "path", *_BODIES)
    # A request body has no types.
    passwords = Parameter.objects.filter(type="password").order_by()
    ids = passwords.values_list("product_id", "number", "name") if shown else ()
    names = password_names(ids)
    bodies = {
        pk: (without_passwords(sent, names, path), without_passwords(returned, names))
        for pk, path, sent, returned in texts
    }
    return [Call(row, objects.get(row.pk, []), *bodies.get(row.pk, ())) for row in read]


class FiredFault(TypedDict):
    """A fault that fired for a request."""

    name: Untrusted
    kind: str


Redacted = Annotated[
    bool, Also(description="Whether secrets that somebody has repeated were replaced by ••••••••.")
]
CALL = Part(
    "ApiCall",
    "A call of Connect's API; `link` says how sure it is that the attempt led to it.",
    {
        "id": Field(int, "row.pk"),
        "method": Field(str, "row.method"),
        "path": Field(Untrusted, "row.path"),
        "query": Field(Untrusted, "row.query"),
        "status": Field(int, "row.status"),
        "error_code": Field(str, "row.error_code"),
        "duration": Field(Annotated[float, Also(description="Milliseconds.")], "row.duration"),
        "started_at": moment("row.started_at"),
        "real_started_at": moment("row.real_started_at"),
        "actor": Field(Literal["handler", "test"], "row.actor"),
        "account": Field(str | None, "row.account_id"),
        "key": Field(str, "row.key"),
        "user_agent": Field(Untrusted, "row.user_agent"),
        "objects": list[str],
        "webhook": Field(str | None, "row.webhook_id"),
        "delivery": Field(int | None, "row.delivery_id"),
        "attempt": Field(int | None, "row.attempt"),
        "link": Field(Literal["certain", "likely", ""], "row.link"),
        "request_body": Untrusted,
        "response_body": Untrusted,
        "is_truncated": Field(bool, "row.is_truncated"),
        "redacted": Field(Redacted, "row.redacted"),
        "faults": Field(list[FiredFault], "row.faults"),
    },
)
NOTE = Part(
    "Note",
    "What is remarkable about a handler's activity.",
    {"code": str, "text": Untrusted, "call": int | None, "object": str | None},
)


@dataclass(frozen=True, slots=True)
class Note:
    """A note; `call` and `object` are the ids of what it is about."""

    code: str
    text: str
    call: int | None = None
    object: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """Whether an object is as an attempt's event left it, and waits for the webhook's account."""

    id: str
    status: str
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What the notes need of an attempt.

    `expects_calls`: it is of a webhook for events, whose handler works by the API. `is_settled`:
    the handler has had the time to do so.
    """

    status_code: int | None
    is_success: bool
    expects_calls: bool
    is_settled: bool
    product: str
    objects: Sequence[ObjectFacts] = ()

    @property
    def is_silent(self) -> bool:
        """Return whether its handler should have called the API by now."""
        return self.is_success and self.expects_calls and self.is_settled


@dataclass(frozen=True, slots=True)
class HandlerActivity:
    """What a handler did because of an attempt."""

    calls: Sequence[Call] = ()
    notes: Sequence[Note] = ()
    summary: str = ""


ACTIVITY = Part(
    "HandlerActivity",
    "What a handler did because of an attempt.",
    {
        "summary": str,
        "notes": Many(NOTE, attrgetter("notes")),
        "calls": Many(CALL, attrgetter("calls")),
    },
)


def for_attempts(
    keys: Iterable[Key], *, settled: bool = False, with_bodies: bool = True
) -> dict[Key, HandlerActivity]:
    """Return the activity of each attempt; an attempt that doesn't exist has none.

    `settled`: the caller knows that the handlers have nothing left to do.
    """
    wanted = set(keys)
    calls = _calls(wanted, ALL if with_bodies else ERRORS)
    facts = _facts(wanted, settled)
    products = _products_of(calls)
    return {
        key: HandlerActivity(
            calls.get(key, ()),
            derive(facts[key], calls.get(key, ()), products) if key in facts else (),
            summarize(calls.get(key, ()), is_silent=key in facts and facts[key].is_silent),
        )
        for key in {*calls, *facts}
    }


def summaries(keys: Iterable[Key]) -> dict[Key, str]:
    """Return the summary of each attempt's activity, without reading bodies and objects."""
    wanted = set(keys)
    if not wanted:
        return {}
    calls = _calls(wanted, NONE)
    before = clock.now() - timedelta(seconds=PATIENCE)
    silent = _silent({delivery for delivery, _ in wanted}, before) & wanted
    return {
        key: summarize(calls.get(key, ()), is_silent=key in silent) for key in {*calls, *silent}
    }


def _silent(deliveries: Collection[int], before: datetime) -> set[Key]:
    """Return the attempts by which a handler accepted an event before that time."""
    # Raw SQL: for the fifty rows of a page the ORM takes longer than the database.
    rows = sql.fetch(
        f"""
        SELECT a.delivery_id, a.number FROM webhooks_attempt a
        JOIN webhooks_webhook w ON w.id = a.webhook_id
        WHERE a.delivery_id IN ({sql.integers(deliveries)})
        AND a.outcome = %s AND w.type = %s AND a.finished_at < %s
        """,
        [Attempt.SUCCESS, EVENT, sql.datetime_param(before)],
    )
    return set(rows)


def _facts(wanted: Collection[Key], settled: bool) -> dict[Key, AttemptFacts]:
    """Return what the notes need of the attempts; the objects of those that succeeded."""
    attempts = (
        Attempt.objects.filter(delivery__in={delivery for delivery, _ in wanted})
        .select_related("webhook__account")
        .only(
            "delivery",
            "number",
            "outcome",
            "status_code",
            "finished_at",
            "webhook__type",
            "webhook__product",
            "webhook__account__type",
        )
    )
    before = clock.now() - timedelta(seconds=PATIENCE)
    rows = {(row.delivery_id, row.number): row for row in attempts}
    facts = {
        key: AttemptFacts(
            row.status_code,
            row.outcome == Attempt.SUCCESS,
            row.webhook.type == EVENT,
            settled or row.finished_at < before,
            row.webhook.product_id,
        )
        for key, row in rows.items()
        if key in wanted
    }
    silent = {key: rows[key].webhook.account for key, each in facts.items() if each.is_silent}
    objects = _waiting_objects(silent)
    return {key: replace(each, objects=objects.get(key, ())) for key, each in facts.items()}


def _calls(wanted: Collection[Key], bodies_of: str) -> dict[Key, list[Call]]:
    """Return the calls of attempts, in order."""
    api_calls.flush()
    ids = sql.ids_in("sandbox_apicall.delivery_id", {delivery for delivery, _ in wanted})
    rows = ApiCall.objects.filter(ids).order_by("-pk")[:MAX_CALLS]
    calls: dict[Key, list[Call]] = {}
    for call in reversed(load(rows, bodies_of)):
        delivery, attempt = call.row.delivery_id, call.row.attempt
        if delivery is not None and attempt is not None and (delivery, attempt) in wanted:
            calls.setdefault((delivery, attempt), []).append(call)
    return calls


def _waiting_objects(accounts: dict[Key, Account]) -> dict[Key, list[ObjectFacts]]:
    """Return the objects of the attempts' events, if no later event is about them.

    `accounts` are those of the attempts' webhooks.
    """
    events = list(
        Event.objects.filter(delivery__in={delivery for delivery, _ in accounts})
        .exclude(object_id="")
        .order_by("pk")
    )
    ids = {event.object_id for event in events}
    latest = dict(
        Event.objects.filter(object_id__in=ids)
        .order_by()
        .values("object_id", "webhook_id")
        .annotate(last=Max("pk"))
        .values_list("last", "object_id")
    )
    found = _objects(ids)
    result: dict[Key, list[ObjectFacts]] = {}
    for key, account in accounts.items():
        for event in events:
            if event.delivery_id == key[0] and event.pk in latest and event.object_id in found:
                queue, row = found[event.object_id]
                is_waiting = row.status == event.status_to and _waits_for(queue, row, account)
                facts = ObjectFacts(row.pk, queue.status(row.status).title, is_waiting)
                result.setdefault(key, []).append(facts)
    return result


def _waits_for(queue: base.Queue, row: base.QueueObject, account: Account) -> bool:
    """Return whether an account can complete the object by an action."""
    roles = Actor(None, account).roles_for(row)
    return any(
        queue.status(action.target).tone == base.GOOD
        for action in queue.available_actions(row, *roles)
    )


def _objects(ids: Collection[str]) -> dict[str, tuple[base.Queue, base.QueueObject]]:
    """Return the objects of all queues by id; at most one statement for each queue."""
    found: dict[str, tuple[base.Queue, base.QueueObject]] = {}
    for queue in base.registered():
        rows = queue.model._default_manager.filter(pk__in=set(ids) - found.keys())
        found |= {row.pk: (queue, row) for row in rows}
    return found


def _products_of(calls: dict[Key, list[Call]]) -> dict[str, str]:
    """Return the products of the objects that calls are made to change, as far as they have any."""
    targets = {
        call.target
        for each in calls.values()
        for call in each
        if call.row.method != "GET" and call.target
    }
    rows = (row for _, row in _objects(targets).values())
    # A case of the helpdesk may be about no product.
    return {row.pk: row.product_id for row in rows if row.product_id}


# Notes.


def derive(attempt: AttemptFacts, calls: Sequence[Call], products: dict[str, str]) -> list[Note]:
    """Return the notes of an attempt; `products` are those of the objects that its calls change."""
    notes = []
    for call in calls:
        product = products.get(call.target or "", attempt.product)
        if call.row.method != "GET" and product != attempt.product:
            text = f"{call.name} was called for {call.target} of {product}, but the webhook is for"
            notes.append(
                Note(OTHER_PRODUCT, f"{text} {attempt.product}.", call.row.pk, call.target)
            )
    for call in [call for call in calls if call.is_failed][:MAX_REJECTED]:
        row, what = call.row, "was rejected" if call.row.status < 500 else "failed"
        details = (str(row.status), row.error_code, message(call.response_body))
        text = f"{call.name} {what}: {' '.join(filter(None, details))}"
        notes.append(Note(REJECTED, text, row.pk, call.target))
    if attempt.is_silent:
        status = attempt.status_code
        if not calls:
            notes.append(Note(NO_API_CALLS, f"Returned {status} but made no API calls."))
        notes += [
            Note(
                STILL_PENDING,
                f"Returned {status}, but {each.id} is still {each.status}.",
                object=each.id,
            )
            for each in attempt.objects
            if each.is_waiting
        ]
    return notes


def message(body: str) -> str:
    """Return the sentences of an API error."""
    try:
        errors: Any = json.loads(body)["errors"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    text = " ".join(map(str, errors)) if isinstance(errors, list) else ""
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


def summarize(calls: Sequence[Call], *, is_silent: bool) -> str:
    """Return a few words: `approved PR-…`, `2 API calls, 1 failed`, `no API calls`.

    `is_silent`: calls were expected, and the handler has had the time to make them.
    """
    if not calls:
        return "no API calls" if is_silent else ""
    count = f"{len(calls)} API call{'s' if len(calls) > 1 else ''}"
    if failed := sum(call.is_failed for call in calls):
        return f"{count}, {failed} failed"
    done = [call.action for call in calls if call.action]
    if len({name for name, _ in done}) != 1:
        return count
    name, objects = done[0][0], list(dict.fromkeys(pk for _, pk in done))
    past = _PAST.get(name) or f"{name}{'d' if name.endswith('e') else 'ed'}"
    return f"{past} {objects[0] if len(objects) == 1 else f'{len(objects)} objects'}"
