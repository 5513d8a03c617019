"""Handler activity: the API calls that attempts led to, read for pages and the API.

A number of statements that doesn't depend on how many attempts are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.db import sql
from requests_queue.queues import base
from sandbox.models import ApiCall
from sandbox.readings import handler_notes, stored_calls
from sandbox.readings.handler_notes import AttemptFacts, Note, ObjectFacts
from sandbox.readings.stored_calls import Call
from sandbox.timeline import api_calls
from webhooks.models import Attempt, Event
from webhooks.types import EVENT

# Delivery and number of an attempt.
Key = tuple[int, int]

# Seconds of platform time after an attempt before a note says what its handler has not done.
# Platform time is never slower than real time, and a move waits for the handler first.
PATIENCE = 5.0
MAX_CALLS = 1000  # that are read at once


@dataclass(frozen=True, slots=True)
class HandlerActivity:
    """What a handler did because of an attempt."""

    calls: Sequence[Call] = ()
    notes: Sequence[Note] = ()
    summary: str = ""


def for_attempts(
    keys: Iterable[Key], *, settled: bool = False, with_bodies: bool = True
) -> dict[Key, HandlerActivity]:
    """Return the activity of each attempt; an attempt that doesn't exist has none.

    `settled`: the caller knows that the handlers have nothing left to do.
    """
    calls, attempts = _read(keys, settled, stored_calls.ALL if with_bodies else stored_calls.ERRORS)
    facts = _with_objects(attempts)
    products = _products_of(calls)
    return {
        key: HandlerActivity(
            calls.get(key, ()),
            handler_notes.derive(facts[key], calls.get(key, ()), products) if key in facts else (),
            _summary(calls.get(key, ()), attempts.get(key)),
        )
        for key in {*calls, *attempts}
    }


def summaries(keys: Iterable[Key]) -> dict[Key, str]:
    """Return the summary of each attempt's activity, without reading bodies and objects."""
    wanted = set(keys)
    if not wanted:
        return {}
    calls = _calls(wanted, stored_calls.NONE)
    before = clock.now() - timedelta(seconds=PATIENCE)
    silent = _silent({delivery for delivery, _ in wanted}, before) & wanted
    return {
        key: handler_notes.summarize(calls.get(key, ()), is_silent=key in silent)
        for key in {*calls, *silent}
    }


def _silent(deliveries: Collection[int], before: datetime) -> set[Key]:
    """Return the attempts by which a handler accepted an event before that time."""
    # Raw SQL: for the fifty rows of a page the ORM takes longer than the database.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT a.delivery_id, a.number FROM webhooks_attempt a
            JOIN webhooks_webhook w ON w.id = a.webhook_id
            WHERE a.delivery_id IN ({sql.integers(deliveries)})
            AND a.outcome = %s AND w.type = %s AND a.finished_at < %s
            """,
            [Attempt.SUCCESS, EVENT, sql.datetime_param(before)],
        )
        return set(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt, and whether its handler has had the time to call the API."""

    row: Attempt
    is_settled: bool

    @property
    def expects_calls(self) -> bool:
        return self.row.webhook.type == EVENT

    @property
    def is_silent(self) -> bool:
        return self.row.outcome == Attempt.SUCCESS and self.expects_calls and self.is_settled


def _read(
    keys: Iterable[Key], settled: bool, bodies_of: str
) -> tuple[dict[Key, list[Call]], dict[Key, _Attempt]]:
    """Return the calls and the attempts by key."""
    wanted = set(keys)
    calls = _calls(wanted, bodies_of)
    deliveries = {delivery for delivery, _ in wanted}
    attempts = (
        Attempt.objects.filter(delivery__in=deliveries)
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
    by_key = {
        (row.delivery_id, row.number): _Attempt(row, settled or row.finished_at < before)
        for row in attempts
    }
    return calls, {key: each for key, each in by_key.items() if key in wanted}


def _calls(wanted: Collection[Key], bodies_of: str) -> dict[Key, list[Call]]:
    """Return the calls of attempts, in order."""
    api_calls.flush()
    ids = sql.ids_in("sandbox_apicall.delivery_id", {delivery for delivery, _ in wanted})
    rows = ApiCall.objects.filter(ids).order_by("-pk")[:MAX_CALLS]
    calls: dict[Key, list[Call]] = {}
    for call in reversed(stored_calls.load(rows, bodies_of)):
        if call.delivery is not None and call.attempt is not None:
            key = (call.delivery, call.attempt)
            if key in wanted:
                calls.setdefault(key, []).append(call)
    return calls


def _summary(calls: Sequence[Call], attempt: _Attempt | None) -> str:
    return handler_notes.summarize(calls, is_silent=attempt is not None and attempt.is_silent)


def _with_objects(attempts: dict[Key, _Attempt]) -> dict[Key, AttemptFacts]:
    """Return what the notes need of the attempts; the objects of those that succeeded."""
    silent = {key: each for key, each in attempts.items() if each.is_silent}
    objects = _waiting_objects(silent)
    return {
        key: AttemptFacts(
            each.row.status_code,
            each.row.outcome == Attempt.SUCCESS,
            each.expects_calls,
            each.is_settled,
            each.row.webhook.product_id,
            objects.get(key, ()),
        )
        for key, each in attempts.items()
    }


def _waiting_objects(attempts: dict[Key, _Attempt]) -> dict[Key, list[ObjectFacts]]:
    """Return the objects of the attempts' events, if no later event is about them."""
    if not attempts:
        return {}
    events = list(
        Event.objects.filter(delivery__in={delivery for delivery, _ in attempts})
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
    for key, attempt in attempts.items():
        for event in events:
            if event.delivery_id == key[0] and event.pk in latest and event.object_id in found:
                queue, row = found[event.object_id]
                is_waiting = row.status == event.status_to and _waits_for(queue, row, attempt)
                facts = ObjectFacts(row.pk, queue.status(row.status).title, is_waiting)
                result.setdefault(key, []).append(facts)
    return result


def _waits_for(queue: base.Queue, row: base.QueueObject, attempt: _Attempt) -> bool:
    """Return whether the webhook's account can complete the object by an action."""
    roles = Actor(None, attempt.row.webhook.account).roles_for(row)
    return any(
        queue.status(action.target).tone == base.GOOD
        for action in queue.available_actions(row, *roles)
    )


def _objects(ids: Collection[str]) -> dict[str, tuple[base.Queue, base.QueueObject]]:
    """Return the objects of all queues by id; at most one statement for each queue."""
    found: dict[str, tuple[base.Queue, base.QueueObject]] = {}
    for queue in base.registered():
        if missing := set(ids) - found.keys():
            rows = queue.model._default_manager.filter(pk__in=missing)
            found |= {row.pk: (queue, row) for row in rows}
    return found


def _products_of(calls: dict[Key, list[Call]]) -> dict[str, str]:
    """Return the products of the objects that calls are made to change."""
    targets = {
        call.target
        for each in calls.values()
        for call in each
        if call.method != "GET" and call.target
    }
    return {pk: row.product_id for pk, (_, row) in _objects(targets).items()}


def represent(activity: HandlerActivity) -> dict[str, Any]:
    """Return the activity as the API shows it."""
    return {
        "summary": activity.summary,
        "notes": [
            {"code": note.code, "text": note.text, "call": note.call, "object": note.object}
            for note in activity.notes
        ],
        "calls": [stored_calls.represent(call) for call in activity.calls],
    }
