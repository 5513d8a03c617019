"""`/sandbox/clock`: read and move the platform time; settle times, and holds that keep it."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Input, Integer, String
from requests_queue.api.schema import Stamp
from sandbox.api import types
from sandbox.api.schema import Operation, Operations
from sandbox.api.types import DurationField, NumberField, Seconds, SecondsField
from sandbox.clock import moves, settle_times, settling, tokens
from sandbox.clock.moves import IDLE_MAX, MAX_PATIENCE, MAX_STEPS, MoveResult
from sandbox.timeline.timeline import format_time


class Clock(TypedDict):
    """The platform time; `offset` is how many seconds it is ahead of real time."""

    now: Stamp
    offset: Seconds
    moving: bool
    frozen: bool
    settled: bool
    waiting_for: list[types.Unsettled]


class MovedAttempt(TypedDict):
    """An attempt that ended during a move."""

    webhook: str
    delivery: int
    attempt: int
    object: str | None
    objects: list[str]
    at: Stamp
    outcome: str
    status: int | None
    error: str
    next_attempt_at: Stamp | None


Moved = TypedDict(
    "Moved",
    {
        "from": Stamp,
        "now": Stamp,
        "stops": int,
        "attempts": list[MovedAttempt],
        "stopped_because": Literal["end", "idle", "max_steps", "max"],
        "unsettled": list[types.Unsettled],
        "failed": list[str],
    },
)


class SettleTime(TypedDict):
    """The settle time of a handler URL in milliseconds, and where it is from."""

    url: str
    ms: float
    source: Literal["fixed", "setting", "learned", "default"]


class MoveInput(Input):
    """What every move takes: real seconds to wait at each stop, and a settle time for all."""

    patience = SecondsField(0, MAX_PATIENCE)
    settle = NumberField(0, settle_times.MAX_FIXED * 1000, "milliseconds")

    def options(self, data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values of a body, and the arguments of a move; raises Invalid."""
        values = self.check(data)
        settle = values.pop("settle", None)
        arguments = {
            "patience": values.pop("patience", None),
            "settle": None if settle is None else settle / 1000,
        }
        return values, arguments


class AdvanceInput(MoveInput):
    """How far the clock moves."""

    by = DurationField(required=True)


class RunUntilIdleInput(MoveInput):
    """The limits of a run."""

    max = DurationField()
    max_steps = Integer(1, 100_000)


class SettleInput(Input):
    """The settle time of a handler URL in milliseconds; null: learn it again."""

    url = String(2000, required=True)
    ms = NumberField(
        0,
        settle_times.MAX_FIXED * 1000,
        "milliseconds",
        required=True,
        allow_null=True,
        null_value=None,
    )


class ClockView(APIView):
    """`GET /sandbox/clock`: the platform time, and what a move would wait for."""

    operations: Operations = {"get": Operation("Time", "Show the clock", Clock)}

    def get(self, request: Request) -> Response:
        """Return `{"now", "offset", "moving", "frozen", "settled", "waiting_for"}`."""
        state = moves.clock_state()
        left = settling.waiting_for(state.now)
        return Response(
            {
                "now": format_time(state.now),
                "offset": round(state.offset.total_seconds(), 3),
                "moving": state.moving,
                "frozen": state.frozen,
                "settled": not left,
                "waiting_for": [each.represent() for each in left],
            }
        )


class AdvanceView(APIView):
    """`POST /sandbox/clock/advance {"by": "5m"}`: 200, 400 if invalid, 409 while moving."""

    operations: Operations = {
        "post": Operation("Time", "Move the clock forward", Moved, body=AdvanceInput, errors=(409,))
    }

    def post(self, request: Request) -> Response:
        """Move the clock forward; return when everything due in between has run."""
        values, arguments = AdvanceInput().options(request.data)
        return _moved(moves.advance(values["by"], **arguments))


class NextView(APIView):
    """`POST /sandbox/clock/next`: 200, 400 if invalid, 409 while moving."""

    operations: Operations = {
        "post": Operation("Time", "Move to the next attempt", Moved, body=MoveInput, errors=(409,))
    }

    def post(self, request: Request) -> Response:
        """Move to the next due attempt and through it."""
        _, arguments = MoveInput().options(request.data)
        return _moved(moves.run_next(**arguments))


class RunUntilIdleView(APIView):
    """`POST /sandbox/clock/run-until-idle {"max": "P3D", "max_steps": 1000}`: as advance."""

    operations: Operations = {
        "post": Operation(
            "Time", "Move until no work is left", Moved, body=RunUntilIdleInput, errors=(409,)
        )
    }

    def post(self, request: Request) -> Response:
        """Move from one due time to the next until no work is left."""
        values, arguments = RunUntilIdleInput().options(request.data)
        return _moved(
            moves.run_until_idle(
                values.get("max", IDLE_MAX),
                values.get("max_steps", MAX_STEPS),
                **arguments,
            )
        )


class SettleView(APIView):
    """`/sandbox/settle`: the settle times of handlers."""

    operations: Operations = {
        "get": Operation("Time", "List settle times", [SettleTime]),
        "post": Operation("Time", "Fix a settle time", SettleTime, body=SettleInput),
    }

    def get(self, request: Request) -> Response:
        """Return the settle times of the known handlers: `[{"url", "ms", "source"}]`."""
        return Response([_settle_time(each) for each in settling.settle_times_by_url()])

    def post(self, request: Request) -> Response:
        """Fix the settle time of a handler URL; null: learn it again."""
        values = SettleInput().check(request.data)
        settling.fix(values["url"], values["ms"])
        return Response(_settle_time(settling.settle_time(values["url"])))


def _settle_time(each: settling.SettleTime) -> dict[str, Any]:
    return {"url": each.url, "ms": round(each.seconds * 1000, 3), "source": each.source}


def _moved(result: MoveResult) -> Response:
    return Response(
        {
            "from": format_time(result.start),
            "now": format_time(result.end),
            "stops": result.stops,
            "attempts": result.attempts,
            "stopped_because": result.stopped_because,
            "unsettled": [each.represent() for each in result.unsettled],
            "failed": result.failed,
        }
    )


class Hold(TypedDict):
    """A hold; it expires in so many seconds."""

    id: str
    note: str
    expires_in: Seconds


class HoldInput(Input):
    """How long the hold lasts at most, and a note for people."""

    ttl = SecondsField(0.001, tokens.MAX_TTL)
    note = String(tokens.MAX_NOTE)


class HoldsView(APIView):
    """`/sandbox/holds`: take and list holds."""

    operations: Operations = {
        "get": Operation("Holds", "List holds", [Hold]),
        "post": Operation("Holds", "Take a hold", Hold, 201, body=HoldInput),
    }

    def get(self, request: Request) -> Response:
        """Return the holds that keep the clock: `[{"id", "note", "expires_in"}]`."""
        return Response([hold.represent() for hold in tokens.holds()])

    def post(self, request: Request) -> Response:
        """Take a hold: 201 `{"id", "note", "expires_in"}`."""
        values = HoldInput().check(request.data)
        hold = tokens.take_hold(values.get("ttl", tokens.DEFAULT_TTL), values.get("note", ""))
        return Response(hold.represent(), status=201)


class HoldView(APIView):
    """`/sandbox/holds/{id}`: release a hold."""

    operations: Operations = {
        "delete": Operation("Holds", "Release a hold", None, 204, errors=(404,))
    }

    def delete(self, request: Request, id: str) -> Response:
        """Release a hold: 204; 404 if it was released or has expired."""
        tokens.release_hold(id)
        return Response(status=204)


urlpatterns = [
    path("clock", ClockView.as_view()),
    path("clock/advance", AdvanceView.as_view()),
    path("clock/next", NextView.as_view()),
    path("clock/run-until-idle", RunUntilIdleView.as_view()),
    path("settle", SettleView.as_view()),
    path("holds", HoldsView.as_view()),
    path("holds/<str:id>", HoldView.as_view()),
]
