"""The page of a trace that `connect-sim open FILE` has sent, read-only.

It has entries of all accounts of another sandbox, so it is for administrators only.
"""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Any

from django.http import HttpRequest, HttpResponse

from checks import trace_views
from portal import layout
from portal.identity import Viewer
from requests_queue.errors import Missing
from sandbox.pages.timeline import read_body
from sandbox.timeline import trace_storage

# The latest ones are shown; `connect-sim trace` has all.
ENTRIES, ATTEMPTS, CALLS, CHANGES = 100, 10, 30, 100

Json = dict[str, Any]


@layout.signed_in("GET")
def trace(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a trace: why it failed, the timeline, requests, API calls and objects."""
    if not viewer.user.is_superuser:
        raise Missing(pk)
    content = trace_storage.load(pk)
    end, about = len(content["timeline"]), content["trace"]
    lines = list(map(trace_views.entry_text, content["timeline"][-ENTRIES:]))
    changes = trace_views.changes(content, None, end)
    context = {
        "trace": about,
        "created": datetime.fromisoformat(about["created_at"]),
        "failures": list(map(_failure, about["failures"])),
        "lines": lines,
        "earlier": end - len(lines) + about["left_out"]["entries"],
        "attempts": _attempts(content),
        "calls": [_call(call) for call in content["calls"][-CALLS:]],
        "states": list(trace_views.states(content, end).items()),
        "changes": [_change(row) for row in changes[:CHANGES]],
    }
    return layout.render(request, viewer, "sandbox/trace.html", context)


def _failure(failure: Json) -> Json:
    exhibits = [
        {"title": each["title"], "text": "\n".join(each["lines"])} for each in failure["evidence"]
    ]
    return {
        "text": failure["text"],
        "misses": trace_views.miss_texts(failure),
        "evidence": exhibits,
    }


def _attempts(content: Json) -> list[Json]:
    """Return the latest attempts, the newest first; before them that of the failure, open."""
    failing = trace_views.attempt(content)
    rows = [
        {
            "delivery": delivery,
            "attempt": each,
            "at": datetime.fromisoformat(each["started_at"]),
            "is_open": failing is not None and each is failing[1],
        }
        for delivery in content["deliveries"]
        for each in delivery["attempts"]
    ]
    rows.sort(key=itemgetter("is_open", "at"), reverse=True)
    return [{**row, **_bodies(row["delivery"], row["attempt"])} for row in rows[:ATTEMPTS]]


def _bodies(delivery: Json, attempt: Json) -> Json:
    prefix = f"attempt-{delivery['id']}-{attempt['number']}"
    return {
        "request": read_body(attempt["request"]["body"] or ""),
        "request_id": f"{prefix}-request",
        "response": read_body((attempt["response"] or {}).get("body") or ""),
        "response_id": f"{prefix}-response",
    }


def _call(call: Json) -> Json:
    return {
        **call,
        "at": datetime.fromisoformat(call["started_at"]),
        "request": read_body(call["request_body"]),
        "request_id": f"call-{call['id']}-request",
        "response": read_body(call["response_body"]),
        "response_id": f"call-{call['id']}-response",
    }


def _change(row: Json) -> Json:
    return {**row, "values": trace_views.values_text(row)}
