"""`/sandbox/clock`: read and move the platform time."""

from __future__ import annotations

from typing import Any

from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.fields import Input, String
from requests_queue.resources import format_datetime
from sandbox import clock_control, durations


class ClockView(APIView):
    """`GET /sandbox/clock`: `{"now", "moving"}`."""

    def get(self, request: Request) -> Response:
        """Return the platform time, and whether the clock is being moved."""
        now, moving = clock_control.read()
        return Response({"now": format_datetime(now), "moving": moving})


class DurationField(String):
    """A duration, for example 5m."""

    default_error_messages = dict.fromkeys(
        ("required", "invalid", "blank"), "A duration is required, for example 5m."
    )

    def to_internal_value(self, data: Any) -> Any:
        """Return the duration; raises ValidationError."""
        try:
            return durations.parse(super().to_internal_value(data))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class AdvanceInput(Input):
    """How far the clock moves."""

    by = DurationField(required=True)


class AdvanceView(APIView):
    """`POST /sandbox/clock/advance {"by": "5m"}`: 200, 400 if invalid, 409 while moving."""

    def post(self, request: Request) -> Response:
        """Move the clock forward; return when everything due in between has run."""
        moved = clock_control.advance(AdvanceInput().check(request.data)["by"])
        return Response(
            {
                "from": format_datetime(moved.start), "now": format_datetime(moved.end),
                "stops": moved.stops,
                "failed": moved.failed,
            }
        )  # fmt: skip


urlpatterns = [
    path("clock", ClockView.as_view()),
    path("clock/advance", AdvanceView.as_view()),
]
