"""What happened and what will happen: timeline, calls of the API, deliveries, forecasts, and waits.

`/sandbox/wait` waits for a condition without a thread of the web server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import Any, ClassVar, cast, get_args

from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import clock
from requests_queue.api.fields import Anything, Boolean, Id, Integer, List
from requests_queue.api.resources import Part
from requests_queue.catalog.models import Asset, User
from requests_queue.catalog.schema import AssetStatus
from requests_queue.errors import Invalid, Missing
from requests_queue.queues import base
from sandbox.api.schema import (
    CursorField,
    DurationField,
    Exact,
    NoQuery,
    NumberText,
    Operation,
    Operations,
    Query,
    SecondsField,
    Word,
)
from sandbox.models import ApiCall
from sandbox.timeline import api_calls, deliveries, handler_activity, observer, tasks, timeline
from sandbox.timeline.handler_activity import CALL
from sandbox.timeline.observer import MAX_WAIT, respond
from sandbox.timeline.timeline import Cursor, CursorText
from sandbox.waits import condition_parsing, wait_responses, waiting
from sandbox.waits.condition_parsing import BadCondition
from sandbox.waits.conditions import Condition, ObjectKind
from sandbox.waits.wait_responses import Filters, Read, Wait
from webhooks.delivery import resend
from webhooks.models import Attempt, Delivery, Webhook

TIMEOUT = 5.0  # real seconds
ENTRIES, DELIVERIES = 100, 50  # entries and deliveries of a response by default
LIMIT = 100  # calls of a response by default
_CHUNK = 500  # entries of the timeline that are read at once
_SUBSCRIPTION = ObjectKind(
    get_args(AssetStatus), final=frozenset({"terminated"}), has_deliveries=False
)


class KnownIds:
    """Which webhooks and objects one request may name, each looked up once."""

    def __init__(self) -> None:
        self.has_webhook = cache(_has_webhook)
        self.kind_of = cache(_kind_of)
        self.may_have_tasks = cache(tasks.may_be_about)


def _has_webhook(pk: str) -> bool:
    """Return whether there is a webhook, or was one since the last reset."""
    if Webhook.with_deleted.filter(pk=pk).exists():
        return True
    entries = timeline.between(timeline.last_reset(), timeline.now())
    return entries.filter(webhook_id=pk).exists()


def _kind_of(pk: str) -> ObjectKind | None:
    if found := base.find_object(pk):
        queue, _ = found
        return ObjectKind(queue.status_names, queue.final)
    return _SUBSCRIPTION if Asset.objects.filter(pk=pk).exists() else None


class ConditionField(Anything):
    """A condition, which `sandbox.waits.conditions` checks."""

    openapi: ClassVar[dict[str, Any]] = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "description": "`delivered`, `failed`, `called`, `status`, `idle`, `out_of_order`, "
        "`task`, `rescheduled`, or `all`, `any` or `never` of them.",
        "example": {"delivered": {"webhook": "WH-123-456-789", "attempts_at_most": 1}},
    }

    def __init__(self) -> None:
        super().__init__(required=True)


class WaitInput(Exact):
    """A condition, and how long to wait for it."""

    until = ConditionField()
    since = CursorField(
        help_text="The cursor after which entries count: by default that of the last reset, or of "
        "the request if the condition has `never`."
    )
    timeout = SecondsField(0, MAX_WAIT)
    skip = Boolean(help_text="Move the clock from one due moment to the next while waiting.")
    within = DurationField(help_text="The span of platform time, required by `never`.")


class WaitView(APIView):
    """`POST /sandbox/wait {"until", "since"?, "timeout"?, "skip"?, "within"?}`."""

    operations: Operations = {
        "post": Operation(
            "Waiting",
            "Wait for a condition",
            wait_responses.SATISFIED,
            body=WaitInput,
            errors=(429, 503),
            others={408: wait_responses.UNSATISFIED},
        )
    }

    def post(self, request: Request) -> HttpResponse:
        """Return 200 with the evidence when the condition is true, 408 if it is not in time.

        A wait that skips ends with its client: otherwise it would go on moving the clock.
        """
        condition, values = _read(request.data)
        since = values.get("since")
        if since is None:
            since = timeline.now() if condition.has_never() else timeline.last_reset()
        wait = Wait(
            owner=str(cast(User, request.user).pk),
            condition=condition,
            since=since,
            timeout=values.get("timeout", TIMEOUT),
            skip=values.get("skip", False),
            within=values.get("within"),
        )
        waiting.begin(wait)
        return respond(request, wait.future, needs_client=wait.skip)


def _read(data: Any) -> tuple[Condition, dict[str, Any]]:
    """Return the condition and the other values of a body; raises Invalid."""
    values = WaitInput().check(data)
    try:
        condition = condition_parsing.parse(values.pop("until", None), KnownIds())
    except BadCondition as error:
        raise Invalid(error.path, error.message) from None
    within: timedelta | None = values.get("within")
    if condition.has_never() and within is None:
        raise Invalid("within", "`never` needs a span of platform time, for example 1h.")
    if within is not None and not within:
        raise Invalid("within", "A span must be greater than 0.")
    return condition, values


class TimelineQuery(Query):
    """Which entries of the timeline to return."""

    since = CursorField(help_text="Only entries after this cursor; by default all.")
    limit = NumberText(1, 1000, help_text="Number of entries: 100 by default, at most 1,000.")
    webhook = Id(help_text="Only entries about this webhook.")
    object = Id(help_text="Only entries about this object, alone or with others.")
    kind = List(Word(timeline.KINDS), help_text="Only entries of these kinds, separated by commas.")
    latest = Word(
        ("true", "false"),
        help_text="Return the last entries instead of the first, by default since the last reset, "
        "and how many earlier ones there are.",
    )
    wait = SecondsField(0, MAX_WAIT)


class TimelineView(APIView):
    """`GET /sandbox/timeline?since=&limit=&webhook=&object=&kind=&latest=&wait=`."""

    operations: Operations = {
        "get": Operation(
            "Timeline",
            "Read the timeline",
            wait_responses.PAGE,
            query=TimelineQuery,
            errors=(429, 503),
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
        until = timeline.now()
        if values.get("latest") == "true":
            if "wait" in values:
                raise Invalid("wait", "Cannot be combined with latest.")
            since = values.get("since") or timeline.last_reset()
            return Response(filters.latest(since, until))
        since = values.get("since", Cursor())
        page, wait = filters.page(since, until), values.get("wait", 0.0)
        if page["entries"] or not wait:
            return Response(page)
        read = Read(
            owner=str(cast(User, request.user).pk),
            deadline=time.monotonic() + wait,
            filters=filters,
            position=max(since, until),
        )
        observer.add(wait_responses.reads, read)
        return respond(request, read.future)


CURSOR = Part("CursorAnswer", "The cursor of the present.", {"cursor": CursorText})


class CursorView(APIView):
    """`GET /sandbox/cursor`: `{"cursor"}`."""

    operations: Operations = {
        "get": Operation("Timeline", "Show the cursor of the present", CURSOR)
    }

    def get(self, request: Request) -> Response:
        """Return the cursor of the present: later entries are after it."""
        NoQuery().check_query(request.query_params)
        api_calls.flush()
        return Response({"cursor": str(timeline.now())})


DELIVERY_LIST = Part(
    "Deliveries", "Deliveries, the newest first.", {"deliveries": [deliveries.DELIVERY]}
)


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
        "get": Operation("Deliveries", "List deliveries", DELIVERY_LIST, query=DeliveriesQuery)
    }

    def get(self, request: Request) -> Response:
        """Return the latest deliveries, the newest first, with their attempts.

        Bodies are cut: `GET /sandbox/deliveries/{id}` returns them whole. Unknown ids are refused.
        """
        values = DeliveriesQuery().check_query(request.query_params)
        try:
            for name, check in condition_parsing.CHECKS.items():
                if pk := values.get(name):
                    check(pk, name, KnownIds())
        except BadCondition as error:
            raise Invalid(error.path, error.message) from None
        rows = deliveries.rows(
            webhook=values.get("webhook"),
            object_id=values.get("object"),
            state=values.get("state"),
            since=values.get("since"),
        )[: values.get("limit", DELIVERIES)]
        return Response({"deliveries": deliveries.represent(rows, clock.now())})


class DeliveryQuery(Query):
    """Which of its attempts to return."""

    attempt = NumberText(1, 2**31 - 1, help_text="Only this attempt, by its number.")


class DeliveryView(APIView):
    """`GET /sandbox/deliveries/{id}?attempt=`: a delivery."""

    operations: Operations = {
        "get": Operation(
            "Deliveries",
            "Show a delivery",
            deliveries.DELIVERY,
            query=DeliveryQuery,
            errors=(404,),
        )
    }

    def get(self, request: Request, id: str) -> Response:
        """Return a delivery with its attempts: request, token, response, and the next attempt."""
        values = DeliveryQuery().check_query(request.query_params)
        rows = deliveries.rows().filter(pk=_number(id))[:1]
        for shown in deliveries.represent(rows, clock.now(), is_whole=True, **values):
            return Response(shown)
        raise Missing(id)


SENT_AGAIN = Part("SentAgain", "The delivery that sends a request again.", {"delivery": int})


class SendAgainInput(Exact):
    """Which attempt to send again."""

    attempt = Integer(1, 2**31 - 1, help_text="Its number in the delivery; by default the latest.")


class SendAgainView(APIView):
    """`POST /sandbox/deliveries/{id}/send-again {"attempt"?}`."""

    operations: Operations = {
        "post": Operation(
            "Deliveries", "Send again", SENT_AGAIN, 201, body=SendAgainInput, errors=(404,)
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """Send what an attempt sent once more, at once, as a new delivery with a new token."""
        values = SendAgainInput().check(request.data)
        rows = Attempt.objects.filter(delivery=_number(id)).order_by("-number")
        number = values.get("attempt")
        chosen = rows if number is None else rows.filter(number=number)
        attempt = chosen.select_related("webhook").first()
        if attempt is None:
            if number is None or not rows.exists():
                raise Missing(id)
            raise Invalid("attempt", f"Delivery {id} has no attempt {number}.")
        return Response({"delivery": resend.create_resend(attempt).pk}, status=201)


def _number(text: str) -> int:
    """Return the number of a delivery; raises Missing."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Missing(text)
    return int(text)


class ForecastView(APIView):
    """`GET /sandbox/webhooks/{id}/forecast`: `{"webhook", "now", "reason", "delivery", "rows"}`."""

    operations: Operations = {
        "get": Operation("Deliveries", "Forecast the attempts", deliveries.FORECAST, errors=(404,))
    }

    def get(self, request: Request, id: str) -> Response:
        """Return the times of the next attempts of a webhook if every one fails."""
        NoQuery().check_query(request.query_params)
        webhook = Webhook.objects.filter(pk=id).first()
        if webhook is None:
            raise Missing(id)
        return Response(deliveries.FORECAST.represent(deliveries.forecast_of(webhook)))


API_CALLS = Part(
    "ApiCalls",
    "API calls in order, and the cursor to continue from.",
    {"calls": [CALL], "cursor": CursorText},
)


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
        "get": Operation("API calls", "List API calls", API_CALLS, query=ApiCallsQuery)
    }

    def get(self, request: Request) -> Response:
        """Return the latest calls, or the first ones after a cursor; in order.

        `cursor` is where to continue: pass it as `since`.
        """
        values = ApiCallsQuery().check_query(request.query_params)
        api_calls.flush()
        limit, until = values.get("limit", LIMIT), timeline.now()
        columns = {"webhook_id": "webhook", "delivery_id": "delivery", "named__object_id": "object"}
        named = {column: values[name] for column, name in columns.items() if values.get(name)}
        rows = ApiCall.objects.order_by("pk").filter(**named)
        if (since := values.get("since")) is None:
            calls = handler_activity.load(rows.order_by("-pk")[:limit])[::-1]
        else:
            found = list(islice(_after(since, until, rows), limit))
            calls = handler_activity.load(rows.filter(pk__in=[pk for pk, _ in found]))
            until = found[-1][1] if len(found) == limit else max(since, until)
        return Response({"calls": list(map(CALL.represent, calls)), "cursor": str(until)})


def _after(since: Cursor, until: Cursor, rows: QuerySet[ApiCall]) -> Iterator[tuple[int, Cursor]]:
    """Yield the ids of the matching calls after a cursor, each with the cursor of its entry."""
    while True:
        entries = list(timeline.between(since, until).filter(kind=timeline.API_CALL)[:_CHUNK])
        # Without a response a call is not stored yet.
        ids = [int(entry.data["id"] or 0) for entry in entries]
        matching = set(rows.filter(pk__in=ids).values_list("pk", flat=True))
        for pk, entry in zip(ids, entries, strict=True):
            if pk in matching:
                yield pk, timeline.cursor_of(entry)
        if len(entries) < _CHUNK:
            return
        since = timeline.cursor_of(entries[-1])


urlpatterns = [
    path("wait", WaitView.as_view()),
    path("timeline", TimelineView.as_view()),
    path("cursor", CursorView.as_view()),
    path("deliveries", DeliveriesView.as_view()),
    path("deliveries/<str:id>", DeliveryView.as_view()),
    path("deliveries/<str:id>/send-again", SendAgainView.as_view()),
    path("webhooks/<str:id>/forecast", ForecastView.as_view()),
    path("api-calls", ApiCallsView.as_view()),
]
