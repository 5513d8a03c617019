"""The sandbox's own API, `/sandbox/…`, with the same API keys as Connect's."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import samples
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Invalid
from requests_queue.queues.base import QueueObject
from requests_queue.resources import format_datetime
from sandbox import clock_control, durations, queue_actions


class ClockView(APIView):
    """`GET /sandbox/clock`: `{"now", "moving"}`."""

    def get(self, request: Request) -> Response:
        """Return the platform time, and whether the clock is being moved."""
        now, moving = clock_control.read()
        return Response({"now": format_datetime(now), "moving": moving})


class AdvanceView(APIView):
    """`POST /sandbox/clock/advance {"by": "5m"}`: 200, 400 if invalid, 409 while moving."""

    def post(self, request: Request) -> Response:
        """Move the clock forward; return when everything due in between has run."""
        by = request.data.get("by") if isinstance(request.data, dict) else None
        if not isinstance(by, str):
            raise Invalid("by", "A duration is required, for example 5m.")
        try:
            duration = durations.parse(by)
        except ValueError as error:
            raise Invalid("by", str(error)) from None
        moved = clock_control.advance(duration)
        return Response(
            {
                "from": format_datetime(moved.start), "now": format_datetime(moved.end),
                "stops": moved.stops,
                "failed": moved.failed,
            }
        )  # fmt: skip


class SamplesView(APIView):
    """`POST /sandbox/queue/samples {"queue", "type"?, "product"?, "draft"?}`: 201 `{"id", …}`."""

    def post(self, request: Request) -> Response:
        """Create a realistic object that the caller is a party to."""
        body = {k: _text(request, k) for k in ("queue", "type", "product")}
        account = cast(Account, cast(User, request.user).account)
        draft = request.data.get("draft", False) if isinstance(request.data, dict) else False
        if not isinstance(draft, bool):
            raise Invalid("draft", "Must be a valid boolean.")
        row = samples.make(body["queue"] or "", body["type"], body["product"], account, draft=draft)
        return Response(_summary(row), status=201)


class MovesView(APIView):
    """`POST /sandbox/queue/moves {"id", "action", "data"?}`: 200 `{"id", "status", …}`."""

    def post(self, request: Request) -> Response:
        """Run an action as the party that may run it."""
        pk, name = _text(request, "id") or "", _text(request, "action") or ""
        row = queue_actions.run(pk, name, _data(request), cast(User, request.user))
        return Response(_summary(row))


class ValidateView(APIView):
    """`POST /sandbox/queue/validate {"id", "data"?}`: 200 `{"id", "called", "before", "after"…}`.

    The path ends in `/validate`, so the web server uses the threads for validations.
    """

    def post(self, request: Request) -> Response:
        """Validate a draft or an inquiry as its distributor."""
        pk = _text(request, "id") or ""
        result = queue_actions.validate(pk, _data(request), cast(User, request.user))
        params = {"before": result.before, "after": result.after}
        return Response({**_summary(result.row), "called": result.called, **params})


def _data(request: Request) -> dict[str, Any]:
    data = request.data.get("data") if isinstance(request.data, dict) else None
    if data is not None and not isinstance(data, dict):
        raise Invalid("data", "Expected an object.")
    return data or {}


def _text(request: Request, name: str) -> str | None:
    value = request.data.get(name) if isinstance(request.data, dict) else None
    if value is not None and not isinstance(value, str):
        raise Invalid(name, "Not a valid string.")
    return value


def _summary(row: QueueObject) -> dict[str, str]:
    return {"id": row.pk, "status": row.status, "product": row.product_id}
