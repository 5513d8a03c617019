"""Export of deliveries as JSON lines or HAR 1.2, without secrets, in a stream of bounded memory.

Tokens are not stored; their content is exported. The values of the webhook's own headers are
masked as pages mask them. What other programs have sent is redacted once more: a secret that an
attempt has sent, or that was stored since, may be none of the account's any more or not yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.db.models import QuerySet

from requests_queue.redaction import MASK, Redaction
from webhooks.delivery.request import order_claims
from webhooks.http.headers import masked, secret_values
from webhooks.models import Attempt, Delivery, Event

LIMIT = 10_000  # the newest deliveries
BATCH = 50  # deliveries that are read at once
MAX_ATTEMPTS = 200  # the latest of a delivery
_HIDDEN_RESPONSE_HEADERS = {"set-cookie", "authorization", "authentication", "proxy-authorization"}


def json_lines(rows: QuerySet[Delivery]) -> Iterator[str]:
    """Yield a line of JSON for each delivery, the newest first."""
    for row, events, attempts, redaction in _batches(rows):
        yield json.dumps(_delivery(row, events, attempts, redaction), ensure_ascii=False) + "\n"


def har(rows: QuerySet[Delivery]) -> Iterator[str]:
    """Yield an HTTP archive with an entry for each attempt, by delivery, the newest first."""
    creator = {"name": settings.PROGRAM, "version": settings.VERSION}
    start = json.dumps({"log": {"version": "1.2", "creator": creator, "entries": []}})
    yield start[: -len("]}}")]
    comma = "\n"
    for row, events, attempts, redaction in _batches(rows):
        for attempt in attempts:
            entry = _entry(row, events, attempt, _redaction_of(attempt, redaction))
            yield comma + json.dumps(entry, ensure_ascii=False)
            comma = ",\n"
    yield "\n]}}\n"


FORMATS: dict[str, tuple[Callable[[QuerySet[Delivery]], Iterator[str]], str, str]] = {
    "jsonl": (json_lines, "application/x-ndjson", "jsonl"),
    "har": (har, "application/json", "har"),
}


def _batches(
    rows: QuerySet[Delivery],
) -> Iterator[tuple[Delivery, list[Event], list[Attempt], Redaction]]:
    """Yield deliveries with their events and attempts; three statements for each batch."""
    before: int | None = None
    count = 0
    redactions: dict[str, Redaction] = {}
    while count < LIMIT:
        page = rows if before is None else rows.filter(pk__lt=before)
        batch = list(page.select_related("webhook").order_by("-pk")[:BATCH])
        if not batch:
            return
        events: dict[int, list[Event]] = {}
        ids = [row.pk for row in batch]
        for event in Event.objects.filter(delivery__in=ids).order_by("pk"):
            events.setdefault(event.delivery_id, []).append(event)
        attempts: dict[int, list[Attempt]] = {}
        for attempt in Attempt.objects.filter(delivery__in=ids).order_by("number"):
            attempts.setdefault(attempt.delivery_id, []).append(attempt)
        for row in batch:
            redaction = redactions.get(row.webhook_id) or Redaction(
                [row.webhook.jwt_secret, *secret_values(row.webhook.headers)]
            )
            redactions[row.webhook_id] = redaction
            latest = attempts.get(row.pk, [])[-MAX_ATTEMPTS:]
            yield row, events.get(row.pk, []), latest, redaction
        before, count = batch[-1].pk, count + len(batch)


def _redaction_of(attempt: Attempt, redaction: Redaction) -> Redaction:
    return redaction.including(secret_values(attempt.request_headers))


def _delivery(
    row: Delivery, events: list[Event], attempts: list[Attempt], redaction: Redaction
) -> dict[str, Any]:
    return {
        "id": row.pk,
        "state": row.state,
        "created_at": _at(row.created_at),
        "webhook": {"id": row.webhook_id, "name": row.webhook.label},
        "events": _events(events),
        "attempts": [_attempt(attempt, _redaction_of(attempt, redaction)) for attempt in attempts],
    }


def _events(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {
            "object": e.object_id or None,
            "from": e.status_from or None,
            "to": e.status_to or None,
            "at": _at(e.at),
        }
        for e in events
    ]


def _attempt(row: Attempt, redaction: Redaction) -> dict[str, Any]:
    body, note = _response_body(row, redaction)
    return {
        "number": row.number,
        "outcome": row.outcome,
        "started_at": _at(row.started_at),
        "duration_ms": row.duration,
        "error": redaction.text(row.error) or None,
        "request": {
            "method": row.method,
            "url": redaction.text(row.url),
            "headers": masked(row.request_headers),
            "body": redaction.text(row.request_body),
            "claims": redaction.value(order_claims(row.claims)),
        },
        "response": None
        if row.status_code is None
        else {
            "status": row.status_code,
            "headers": _response_headers(row, redaction),
            "body": body,
            "note": note or None,
            "truncated": row.truncated,
        },
        "redacted": row.redacted,
    }


def _entry(
    row: Delivery, events: list[Event], attempt: Attempt, redaction: Redaction
) -> dict[str, Any]:
    """Return an attempt as an entry of HAR 1.2; status 0 means that there was no response."""
    headers = _pairs(_response_headers(attempt, redaction))
    mime = next((h["value"] for h in headers if h["name"].lower() == "content-type"), "")
    body, note = _response_body(attempt, redaction)
    content = {"size": len(bytes(attempt.response_body)), "mimeType": mime, "text": body}
    status = attempt.status_code or 0
    return {
        "startedDateTime": _at(attempt.started_at),
        "time": attempt.duration,
        "request": _har_request(attempt, redaction),
        "response": {
            "status": status,
            "statusText": _reason(status),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": headers,
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "content": content | ({"comment": note} if note else {}),
        },
        "cache": {},
        "timings": {"send": 0, "wait": attempt.duration, "receive": 0},
        "comment": redaction.text(attempt.error),
        "_delivery": row.pk,
        "_attempt": attempt.number,
        "_webhook": row.webhook_id,
        "_outcome": attempt.outcome,
        "_redacted": attempt.redacted,
        "_events": _events(events),
        "_claims": redaction.value(order_claims(attempt.claims)),
    }


def _har_request(attempt: Attempt, redaction: Redaction) -> dict[str, Any]:
    headers = masked(attempt.request_headers)
    url = redaction.text(attempt.url)
    request = {
        "method": attempt.method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(headers.items()),
        "queryString": _pairs(parse_qsl(urlsplit(url).query, keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": len(attempt.request_body.encode()),
    }
    if attempt.request_body:
        mime = next((v for n, v in headers.items() if n.lower() == "content-type"), "")
        text = redaction.text(attempt.request_body)
        request["postData"] = {"mimeType": mime, "text": text}
    return request


def _response_headers(row: Attempt, redaction: Redaction) -> list[tuple[str, str]]:
    return [
        (str(n), MASK if str(n).lower() in _HIDDEN_RESPONSE_HEADERS else redaction.text(str(v)))
        for n, v in row.response_headers
    ]


def _response_body(row: Attempt, redaction: Redaction) -> tuple[str, str]:
    """Return the body, or why it is left out: a compressed one may hide a secret."""
    try:
        return redaction.text(bytes(row.response_body).decode()), ""
    except UnicodeDecodeError:
        return "", "Left out: compressed or binary."


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
