"""`/sandbox/api-calls`: the recorded calls of the API, of handlers and of tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.fields import Id
from sandbox import api_calls, stored_calls, timeline
from sandbox.api import types
from sandbox.api.operations import Operation, Operations
from sandbox.api.queries import CursorField, NumberText, Query
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import Cursor

LIMIT = 100  # calls of a response by default
_CHUNK = 500  # entries of the timeline that are read at once


class ApiCallsQuery(Query):
    """Which API calls to return."""

    webhook = Id(help_text="Only calls that belong to an attempt of this webhook.")
    object = Id(help_text="Only calls that name this object in their path or body.")
    delivery = NumberText(
        1, 2**63 - 1, help_text="Only calls that belong to an attempt of this delivery."
    )
    since = CursorField(
        help_text="Only calls that ended after this cursor of the timeline, the oldest first."
    )
    limit = NumberText(1, 1000, help_text="Number of calls: 100 by default, at most 1,000.")


class ApiCallsView(APIView):
    """`GET /sandbox/api-calls?webhook=&object=&delivery=&since=&limit=`: `{"calls", "cursor"}`."""

    operations: Operations = {
        "get": Operation("API calls", "List API calls", types.ApiCalls, query=ApiCallsQuery)
    }

    def get(self, request: Request) -> Response:
        """Return the latest calls, or the first ones after a cursor; in order.

        `cursor` is where to continue: pass it as `since`.
        """
        values = ApiCallsQuery().check_query(request.query_params)
        api_calls.flush()
        limit, until = values.get("limit", LIMIT), timeline.now()
        rows = _matching(values)
        if (since := values.get("since")) is None:
            calls = stored_calls.load(rows.order_by("-pk")[:limit])[::-1]
        else:
            found = list(islice(_after(since, until, rows), limit))
            calls = stored_calls.load(rows.filter(pk__in=[pk for pk, _ in found]))
            until = found[-1][1] if len(found) == limit else max(since, until)
        shown = [stored_calls.represent(call) for call in calls]
        return Response({"calls": shown, "cursor": str(until)})


def _matching(values: dict[str, Any]) -> QuerySet[ApiCall]:
    rows = ApiCall.objects.order_by("pk")
    if webhook := values.get("webhook"):
        rows = rows.filter(webhook_id=webhook)
    if delivery := values.get("delivery"):
        rows = rows.filter(delivery_id=delivery)
    if object_id := values.get("object"):
        rows = rows.filter(named__object_id=object_id)
    return rows


def _after(since: Cursor, until: Cursor, rows: QuerySet[ApiCall]) -> Iterator[tuple[int, Cursor]]:
    """Yield the ids of the matching calls after a cursor, each with the cursor of its entry."""
    while True:
        entries = list(timeline.between(since, until).filter(kind=timeline.API_CALL)[:_CHUNK])
        ids = [_call_of(entry) for entry in entries]
        matching = set(rows.filter(pk__in=ids).values_list("pk", flat=True))
        for pk, entry in zip(ids, entries, strict=True):
            if pk in matching:
                yield pk, timeline.cursor_of(entry)
        if len(entries) < _CHUNK:
            return
        since = timeline.cursor_of(entries[-1])


def _call_of(entry: TimelineEntry) -> int:
    # Without a response a call is not stored yet.
    return int(entry.data["id"] or 0)


urlpatterns = [path("api-calls", ApiCallsView.as_view())]
