"""Traces of failures: what has happened since a test or a check began, as one file.

Only its maker knows why it failed, the seed and the versions; it sends them. Everything else is
read here, without the secrets of any webhook, wherever they are repeated.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from django.conf import settings

from checks import trace_file, trace_states
from requests_queue import clock
from requests_queue.redaction import Redaction
from sandbox.models import ApiCall
from sandbox.timeline import api_calls, deliveries, handler_activity, timeline
from sandbox.timeline.handler_activity import CALL
from sandbox.timeline.timeline import Cursor, format_time
from webhooks import account_secrets
from webhooks.models import Webhook

ENTRIES, DELIVERIES, CALLS, ATTEMPTS = 2000, 200, 1000, 20  # latest ones that a file has
_BATCH = 10  # deliveries that are read at once, with their bodies

Json = dict[str, Any]


def make(since: Cursor, about: Mapping[str, Any]) -> bytes:
    """Return the file of what has happened after a cursor; `about` is what its maker knows."""
    api_calls.flush()
    now, until = clock.now(), timeline.now()
    # Everybody's entries are in it.
    owners = set(Webhook.with_deleted.order_by().values_list("account_id", flat=True))
    redaction = reduce(operator.or_, account_secrets.redactions(owners).values(), Redaction())
    content, left_out = _read(since, until, now, redaction)
    known: Json = redaction.value(dict(about))
    known["failures"] = trace_file.newest(known["failures"])
    # Of what was printed, the end says most.
    known |= {name: known[name][-trace_file.LONGEST :] for name in ("report", "log")}
    moment = trace_states.moment(known["failures"], content["timeline"], format_time(now) or "")
    content["trace"] = {
        "format": trace_file.FORMAT,
        **known,
        "created_at": format_time(datetime.now(UTC)),
        "now": format_time(now),
        "versions": {"connect-sim": settings.VERSION, **known["versions"]},
        "moment": moment,
        "left_out": left_out,
    }
    return trace_file.pack(content)


def _read(
    since: Cursor, until: Cursor, now: datetime, redaction: Redaction
) -> tuple[Json, dict[str, int]]:
    """Return all parts but `trace`, and how many older rows each lacks."""

    def newest(rows: Iterable[Json]) -> list[Json]:
        # Redacted first: a text that is cut may end with a part of a secret.
        return trace_file.newest(map(redaction.value, rows))

    rows = timeline.newest(since, until)
    entries = newest(map(timeline.represent, rows[:ENTRIES]))[::-1]
    api_calls_of = [each["data"]["id"] for each in entries if each["kind"] == timeline.API_CALL]
    # Without a response a call is not stored yet.
    ids = [pk for pk in api_calls_of if pk]
    stored = ApiCall.objects.filter(pk__in=ids[-CALLS:]).order_by("-pk")
    calls = newest(map(CALL.represent, handler_activity.load(stored)))[::-1]
    keys = list(deliveries.rows(since=since, until=until).values_list("pk", flat=True))
    sections = newest(_deliveries(keys[:DELIVERIES], now))
    states = list(trace_states.states(entries, calls))
    latest = trace_file.newest(reversed(states))[::-1]
    moments: dict[str, list[Json]] = {}
    for pk, state in latest:
        moments.setdefault(pk, []).append(state)
    content = {
        "timeline": entries,
        "deliveries": sections,
        "calls": calls,
        "state": [{"object": pk, "moments": each} for pk, each in moments.items()],
    }
    open_calls = len(api_calls_of) - len(ids)
    left_out = {
        "entries": rows.count() - len(entries),
        "deliveries": len(keys) - len(sections),
        "calls": rows.filter(kind=timeline.API_CALL).count() - open_calls - len(calls),
        "moments": len(states) - len(latest),
    }
    return content, left_out


def _deliveries(ids: Sequence[int], now: datetime) -> Iterator[Json]:
    """Yield deliveries with their latest attempts, whose API calls are another part."""
    for start in range(0, len(ids), _BATCH):
        rows = deliveries.rows().filter(pk__in=ids[start : start + _BATCH])
        for row in deliveries.represent(rows, now, is_whole=True, latest=ATTEMPTS):
            for attempt in row["attempts"]:
                attempt["handler_activity"].pop("calls")
            yield row
