"""What happened and what will happen: timeline, calls of the API, deliveries and forecasts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import clock
from requests_queue.api.fields import Id, List
from requests_queue.catalog.models import User
from requests_queue.errors import Missing
from sandbox.api import types
from sandbox.api.inputs import CursorField, NoQuery, NumberText, Query, SecondsField, Word
from sandbox.api.schema import Operation, Operations
from sandbox.models import ApiCall, TimelineEntry
from sandbox.readings import deliveries, stored_calls
from sandbox.timeline import api_calls, deferred, timeline
from sandbox.timeline.observer import observer
from sandbox.timeline.timeline import Cursor
from sandbox.waits import timeline_waits
from sandbox.waits.timeline_waits import MAX_WAIT, Filters, Read
from webhooks.models import Delivery, Webhook

ENTRIES, DELIVERIES = 100, 50  # entries and deliveries of a response by default
LIMIT = 100  # calls of a response by default
_CHUNK = 500  # entries of the timeline that are read at once


class TimelineQuery(Query):
    """Which entries of the timeline to return."""

    since = CursorField(help_text="Only entries after this cursor; by default all.")
    limit = NumberText(1, 1000, help_text="Number of entries: 100 by default, at most 1,000.")
    webhook = Id(help_text="Only entries about this webhook.")
    object = Id(help_text="Only entries about this object, alone or with others.")
    kind = List(Word(timeline.KINDS), help_text="Only entries of these kinds, separated by commas.")
    wait = SecondsField(0, MAX_WAIT)


class TimelineView(APIView):
    """`GET /sandbox/timeline?since=&limit=&webhook=&object=&kind=&wait=`."""

    operations: Operations = {
        "get": Operation(
            "Timeline", "Read the timeline", types.Timeline, query=TimelineQuery, errors=(429, 503)
        )
    }

    def get(self, request: Request) -> HttpResponse:
        """Return the entries after a cursor, in order, and the cursor to continue from.

        With `wait`, and while there are none, respond as soon as there is one, or after so many
        seconds of real time without any.
        """
        values = TimelineQuery().check_query(request.query_params)
        api_calls.flush()
        filters = Filters(
            values.get("limit", ENTRIES),
            values.get("webhook", ""),
            values.get("object", ""),
            values.get("kind", ()),
        )
        since, until = values.get("since", Cursor()), timeline.now()
        page, wait = filters.page(since, until), values.get("wait", 0.0)
        if page["entries"] or not wait:
            return Response(page)
        read = Read(
            owner=str(cast(User, request.user).pk),
            deadline=time.monotonic() + wait,
            filters=filters,
            position=max(since, until),
        )
        observer.add(timeline_waits.reads, read)
        return deferred.respond(request, read.future)


class CursorView(APIView):
    """`GET /sandbox/cursor`: `{"cursor"}`."""

    operations: Operations = {
        "get": Operation("Timeline", "Show the cursor of the present", types.CursorAnswer)
    }

    def get(self, request: Request) -> Response:
        """Return the cursor of the present: later entries are after it."""
        NoQuery().check_query(request.query_params)
        api_calls.flush()
        return Response({"cursor": str(timeline.now())})


class DeliveriesQuery(Query):
    """Which deliveries to return."""

    webhook = Id(help_text="Only deliveries of this webhook.")
    object = Id(help_text="Only deliveries with an event of this object.")
    state = Word(
        [state for state, _ in Delivery.STATES], help_text="Only deliveries in this state."
    )
    since = CursorField(help_text="Only deliveries with an event or attempt after this cursor.")
    limit = NumberText(1, 200, help_text="Number of deliveries: 50 by default, at most 200.")


class DeliveriesView(APIView):
    """`GET /sandbox/deliveries?webhook=&object=&state=&since=&limit=`: `{"deliveries"}`."""

    operations: Operations = {
        "get": Operation("Deliveries", "List deliveries", types.Deliveries, query=DeliveriesQuery)
    }

    def get(self, request: Request) -> Response:
        """Return the latest deliveries, the newest first, with their attempts.

        Bodies are cut: `GET /sandbox/deliveries/{id}` returns them whole.
        """
        values = DeliveriesQuery().check_query(request.query_params)
        rows = deliveries.rows(
            webhook=values.get("webhook"),
            object_id=values.get("object"),
            state=values.get("state"),
            since=values.get("since"),
        )[: values.get("limit", DELIVERIES)]
        return Response({"deliveries": deliveries.represent(rows, clock.now())})


class DeliveryView(APIView):
    """`GET /sandbox/deliveries/{id}`: a delivery."""

    operations: Operations = {
        "get": Operation("Deliveries", "Show a delivery", types.Delivery, errors=(404,))
    }

    def get(self, request: Request, id: str) -> Response:
        """Return a delivery with its attempts: request, token, response, and the next attempt."""
        NoQuery().check_query(request.query_params)
        found = id.isascii() and id.isdigit() and len(id) < 19
        rows = deliveries.rows().filter(pk=int(id))[:1] if found else ()
        for shown in deliveries.represent(rows, clock.now(), is_whole=True):
            return Response(shown)
        raise Missing(id)


class ForecastView(APIView):
    """`GET /sandbox/webhooks/{id}/forecast`: `{"webhook", "now", "reason", "delivery", "rows"}`."""

    operations: Operations = {
        "get": Operation("Deliveries", "Forecast the attempts", types.Forecast, errors=(404,))
    }

    def get(self, request: Request, id: str) -> Response:
        """Return the times of the next attempts of a webhook if every one fails."""
        NoQuery().check_query(request.query_params)
        webhook = Webhook.objects.filter(pk=id).first()
        if webhook is None:
            raise Missing(id)
        return Response(deliveries.forecast_of(webhook).represent())


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


urlpatterns = [
    path("timeline", TimelineView.as_view()),
    path("cursor", CursorView.as_view()),
    path("deliveries", DeliveriesView.as_view()),
    path("deliveries/<str:id>", DeliveryView.as_view()),
    path("webhooks/<str:id>/forecast", ForecastView.as_view()),
    path("api-calls", ApiCallsView.as_view()),
]
