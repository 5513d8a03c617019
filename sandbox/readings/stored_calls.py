"""Stored API calls: read with the objects that they name, and shown.

Passwords in their bodies are masked. At most four statements read any number of calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from requests_queue.catalog.models import Parameter
from sandbox.models import ApiCall, ApiCallObject
from sandbox.readings.handler_notes import CallFacts
from sandbox.timeline import timeline
from sandbox.timeline.call_storage import without_passwords

_BODIES = ("request_body", "response_body")
# Of which calls bodies are loaded.
ALL, ERRORS, NONE = "all", "errors", "none"


@dataclass(frozen=True, slots=True)
class Call(CallFacts):
    """An API call; `objects` are the ids that it names in its path and body."""

    response_body: str = field(repr=False)
    query: str
    request_body: str = field(repr=False)
    is_truncated: bool
    redacted: bool
    duration: float
    started_at: datetime
    real_started_at: datetime
    actor: str
    account: str | None
    key: str
    user_agent: str
    webhook: str | None
    delivery: int | None
    attempt: int | None
    link: str
    objects: tuple[str, ...] = ()
    faults: tuple[dict[str, str], ...] = ()


def load(rows: QuerySet[ApiCall], bodies_of: str = ALL) -> list[Call]:
    """Return the calls with the ids that they name, in order."""
    read = list(rows.defer(*_BODIES))
    if not read:
        return []
    objects: dict[int, list[str]] = {}
    named = ApiCallObject.objects.filter(call__in=[row.pk for row in read]).order_by("pk")
    for call_id, object_id in named.values_list("call_id", "object_id"):
        objects.setdefault(call_id, []).append(object_id)
    shown = [
        row.pk for row in read if bodies_of == ALL or (bodies_of == ERRORS and row.status >= 400)
    ]
    texts = ApiCall.objects.filter(pk__in=shown).values_list("pk", *_BODIES) if shown else ()
    names = _password_names() if shown else ()
    bodies = {
        pk: (without_passwords(sent, names), without_passwords(returned, names))
        for pk, sent, returned in texts
    }
    return [
        _call(row, tuple(objects.get(row.pk, ())), *bodies.get(row.pk, ("", ""))) for row in read
    ]


def _password_names() -> list[str]:
    """Return the names of password parameters: a request body has no types."""
    rows = Parameter.objects.filter(type="password").order_by().values_list("name", flat=True)
    return list(rows.distinct())


def _call(row: ApiCall, objects: tuple[str, ...], sent: str, returned: str) -> Call:
    return Call(
        row.pk,
        row.method,
        row.path,
        row.status,
        row.error_code,
        returned,
        row.query,
        sent,
        row.is_truncated,
        row.redacted,
        row.duration,
        row.started_at,
        row.real_started_at,
        row.actor,
        row.account_id,
        row.key,
        row.user_agent,
        row.webhook_id,
        row.delivery_id,
        row.attempt,
        row.link,
        objects,
        tuple(row.faults),
    )


def represent(call: Call) -> dict[str, Any]:
    """Return a call as the API shows it."""
    return {
        "id": call.id,
        "method": call.method,
        "path": call.path,
        "query": call.query,
        "status": call.status,
        "error_code": call.error_code,
        "duration": call.duration,
        "started_at": timeline.format_time(call.started_at),
        "real_started_at": timeline.format_time(call.real_started_at),
        "actor": call.actor,
        "account": call.account,
        "key": call.key,
        "user_agent": call.user_agent,
        "objects": list(call.objects),
        "webhook": call.webhook,
        "delivery": call.delivery,
        "attempt": call.attempt,
        "link": call.link,
        "request_body": call.request_body,
        "response_body": call.response_body,
        "is_truncated": call.is_truncated,
        "redacted": call.redacted,
        "faults": list(call.faults),
    }
