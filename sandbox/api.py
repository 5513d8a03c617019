"""The sandbox's controls by HTTP, behind the same API keys as the rest (ours)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.errors import Invalid
from requests_queue.rest import stamp
from sandbox import durations, time


class ClockView(APIView):
    """`GET /sandbox/clock`: `{"now", "moving"}`."""

    def get(self, request: Request) -> Response:
        """Read the platform's time."""
        now, moving = time.reading()
        return Response({"now": stamp(now), "moving": moving})


class AdvanceView(APIView):
    """`POST /sandbox/clock/advance {"by": "5m"}`: 200, 400 for no span, 409 while moving."""

    def post(self, request: Request) -> Response:
        """Move the time forward; what falls due on the way has run when this answers."""
        by = request.data.get("by") if isinstance(request.data, dict) else None
        if not isinstance(by, str):
            raise Invalid("by: Name a span of time, for example 5m.")
        try:
            span = durations.parse(by)
        except ValueError as error:
            raise Invalid(f"by: {error}") from None
        moved = time.advance(span)
        return Response({"from": stamp(moved.start), "now": stamp(moved.end), "stops": moved.stops})
