"""The page of a trace that `connect-sim open FILE` has sent, read-only.

It has entries of all accounts of another sandbox, so it is for administrators only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from checks import trace_views
from checks.trace_file import BadTrace
from portal import layout
from portal.identity import Viewer
from requests_queue.errors import Missing
from sandbox import shown_traces
from sandbox.pages.timeline import read_body

# The latest ones are shown; `connect-sim trace` has all.
ENTRIES, ATTEMPTS, CALLS, CHANGES = 100, 10, 30, 100

Json = dict[str, Any]


@layout.signed_in("GET")
def trace(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a trace: why it failed, the timeline, requests, API calls and objects."""
    if not viewer.user.is_superuser:
        raise Missing(pk)
    content = shown_traces.find(pk)
    end, about = len(content["timeline"]), content["trace"]
    try:
        lines = list(map(trace_views.entry_text, content["timeline"][-ENTRIES:]))
    except BadTrace:
        raise Missing(pk) from None
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
    """Return the latest attempts, the newest first; that of the failure is open."""
    found = trace_views.attempt(content)
    rows = [
        {
            "delivery": row,
            "attempt": each,
            "at": datetime.fromisoformat(each["started_at"]),
            "is_open": found is not None and each is found[1],
            "request": read_body(each["request"]["body"] or ""),
            "request_id": f"attempt-{row['id']}-{each['number']}-request",
            "response": read_body((each["response"] or {}).get("body") or ""),
            "response_id": f"attempt-{row['id']}-{each['number']}-response",
        }
        for row in content["deliveries"]
        for each in reversed(row["attempts"])
    ]
    return sorted(rows, key=lambda row: not row["is_open"])[:ATTEMPTS]


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
    field, _, values = trace_views.change_text(row).partition(": ")
    return {"object": row["object"], "field": field, "values": values}
