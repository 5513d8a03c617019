"""Traces of failures: what has happened since a test or a check began, as one file.

Only its maker knows why it failed, the seed and the versions; it sends them. Everything else is
read here, without the secrets of any webhook, wherever they are repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from checks import trace_file, trace_states
from requests_queue import clock
from requests_queue.redaction import Redaction
from sandbox.models import ApiCall
from sandbox.timeline import api_calls, deliveries, handler_activity, timeline
from sandbox.timeline.handler_activity import CALL
from sandbox.timeline.timeline import Cursor, format_time
from webhooks import account_secrets
from webhooks.models import Delivery, Webhook

ENTRIES, DELIVERIES, CALLS, ATTEMPTS = 2000, 200, 1000, 20  # latest ones that a file has
_BATCH = 10  # deliveries that are read at once, with their bodies

Json = dict[str, Any]


def make(since: Cursor, about: Mapping[str, Any]) -> bytes:
    """Return the file of what has happened after a cursor; `about` is what its maker knows."""
    api_calls.flush()
    now, until = clock.now(), timeline.now()
    content, left_out = _read(since, until, now)
    moment = trace_states.moment(about["failures"], content["timeline"], format_time(now) or "")
    content["trace"] = {
        "format": trace_file.FORMAT,
        **about,
        "created_at": format_time(datetime.now(UTC)),
        "now": format_time(now),
        "versions": {"connect-sim": settings.VERSION, **about["versions"]},
        "moment": moment,
        "left_out": left_out,
    }
    # Everybody's entries are in it.
    owners = set(Webhook.with_deleted.order_by().values_list("account_id", flat=True))
    for redaction in (Redaction(), *account_secrets.redactions(owners).values()):
        content = redaction.value(content)
    return trace_file.pack(content)


def _read(since: Cursor, until: Cursor, now: datetime) -> tuple[Json, dict[str, int]]:
    """Return all parts but `trace`, and how many older rows each lacks."""
    rows = timeline.newest(since, until)
    entries = trace_file.newest(map(timeline.represent, rows[:ENTRIES]))[::-1]
    ids = [entry["data"].get("id") for entry in entries if entry["kind"] == timeline.API_CALL]
    # Without a response a call is not stored yet.
    found = ApiCall.objects.filter(pk__in=[pk for pk in ids if pk][-CALLS:]).order_by("-pk")
    calls = trace_file.newest(map(CALL.represent, handler_activity.load(found)))[::-1]
    owed = deliveries.rows(since=since)
    sent = trace_file.newest(_deliveries(owed, now))
    known = list(trace_states.states(entries, calls))
    shown = trace_file.newest(reversed(known))[::-1]
    moments: dict[str, list[Json]] = {}
    for pk, state in shown:
        moments.setdefault(pk, []).append(state)
    content = {
        "timeline": entries,
        "deliveries": sent,
        "calls": calls,
        "state": [{"object": pk, "moments": each} for pk, each in moments.items()],
    }
    left_out = {
        "entries": rows.count() - len(entries),
        "deliveries": owed.count() - len(sent),
        "calls": len(ids) - len(calls),
        "moments": len(known) - len(shown),
    }
    return content, left_out


def _deliveries(rows: QuerySet[Delivery], now: datetime) -> Iterator[Json]:
    """Yield deliveries with their latest attempts, whose API calls are another part."""
    for start in range(0, DELIVERIES, _BATCH):
        for shown in deliveries.represent(rows[start : start + _BATCH], now, is_whole=True):
            for attempt in shown["attempts"]:
                attempt["handler_activity"].pop("calls")
            yield {**shown, "attempts": shown["attempts"][-ATTEMPTS:]}
