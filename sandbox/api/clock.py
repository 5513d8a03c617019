"""`/sandbox/clock`: read and move the platform time; settle times, and holds that keep it."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Literal, NamedTuple

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Input, Integer, String
from requests_queue.api.resources import Field, Many, Part
from sandbox.api.schema import DurationField, NumberField, Operation, Operations, SecondsField
from sandbox.clock import moves, settle_times, settling, tokens
from sandbox.clock.moves import IDLE_MAX, MAX_PATIENCE, MAX_STEPS
from sandbox.clock.settling import UNSETTLED, Unsettled
from sandbox.clock.tokens import HOLD
from sandbox.timeline.timeline import Moment, Seconds, moment


class ShownClock(NamedTuple):
    """The clock, and what a move would wait for."""

    state: moves.ClockState
    waiting_for: list[Unsettled]


CLOCK = Part(
    "Clock",
    "The platform time; `offset` is how many seconds it is ahead of real time.",
    {
        "now": moment("state.now"),
        "offset": Field(Seconds, lambda each: round(each.state.offset.total_seconds(), 3)),
        "moving": Field(bool, "state.moving"),
        "frozen": Field(bool, "state.frozen"),
        "settled": Field(bool, lambda each: not each.waiting_for),
        "waiting_for": Many(UNSETTLED, attrgetter("waiting_for")),
    },
)


def _of_data(name: str, type: Any) -> Field:
    """Return the field of a value in the data of an entry of the timeline."""
    return Field(type, lambda entry: entry.data[name])


MOVED = Part(
    "Moved",
    "What a move of the clock did; `stops` counts the due times on its way.",
    {
        "from": moment("start"),
        "now": moment("end"),
        "stops": int,
        "attempts": Many(
            Part(
                "MovedAttempt",
                "An attempt that ended during a move.",
                {
                    "webhook": Field(str, "webhook_id"),
                    "delivery": Field(int, "delivery_id"),
                    "attempt": int,
                    "object": Field(str | None, "object_id"),
                    "objects": _of_data("objects", list[str]),
                    "at": moment("at"),
                    "outcome": _of_data("outcome", str),
                    "status": _of_data("status", int | None),
                    "error": _of_data("error", str),
                    "next_attempt_at": _of_data("next_attempt_at", Moment | None),
                },
            ),
            attrgetter("attempts"),
        ),
        "stopped_because": Literal["end", "idle", "max_steps", "max"],
        "unsettled": Many(UNSETTLED, attrgetter("unsettled")),
        "failed": list[str],
    },
)
SETTLE_TIME = Part(
    "SettleTime",
    "The settle time of a handler URL in milliseconds, and where it is from.",
    {
        "url": str,
        "ms": Field(float, lambda each: round(each.seconds * 1000, 3)),
        "source": Literal["fixed", "setting", "learned", "default"],
    },
)


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

    operations: Operations = {"get": Operation("Time", "Show the clock", CLOCK)}

    def get(self, request: Request) -> Response:
        """Return `{"now", "offset", "moving", "frozen", "settled", "waiting_for"}`."""
        state = moves.clock_state()
        return Response(CLOCK.represent(ShownClock(state, settling.waiting_for(state.now))))


class AdvanceView(APIView):
    """`POST /sandbox/clock/advance {"by": "5m"}`: 200, 400 if invalid, 409 while moving."""

    operations: Operations = {
        "post": Operation("Time", "Move the clock forward", MOVED, body=AdvanceInput, errors=(409,))
    }

    def post(self, request: Request) -> Response:
        """Move the clock forward; return when everything due in between has run."""
        values, arguments = AdvanceInput().options(request.data)
        return Response(MOVED.represent(moves.advance(values["by"], **arguments)))


class NextView(APIView):
    """`POST /sandbox/clock/next`: 200, 400 if invalid, 409 while moving."""

    operations: Operations = {
        "post": Operation("Time", "Move to the next attempt", MOVED, body=MoveInput, errors=(409,))
    }

    def post(self, request: Request) -> Response:
        """Move to the next due attempt and through it."""
        _, arguments = MoveInput().options(request.data)
        return Response(MOVED.represent(moves.run_next(**arguments)))


class RunUntilIdleView(APIView):
    """`POST /sandbox/clock/run-until-idle {"max": "P3D", "max_steps": 1000}`: as advance."""

    operations: Operations = {
        "post": Operation(
            "Time", "Move until no work is left", MOVED, body=RunUntilIdleInput, errors=(409,)
        )
    }

    def post(self, request: Request) -> Response:
        """Move from one due time to the next until no work is left."""
        values, arguments = RunUntilIdleInput().options(request.data)
        longest, most = values.get("max", IDLE_MAX), values.get("max_steps", MAX_STEPS)
        return Response(MOVED.represent(moves.run_until_idle(longest, most, **arguments)))


class SettleView(APIView):
    """`/sandbox/settle`: the settle times of handlers."""

    operations: Operations = {
        "get": Operation("Time", "List settle times", [SETTLE_TIME]),
        "post": Operation("Time", "Fix a settle time", SETTLE_TIME, body=SettleInput),
    }

    def get(self, request: Request) -> Response:
        """Return the settle times of the known handlers: `[{"url", "ms", "source"}]`."""
        return Response(list(map(SETTLE_TIME.represent, settling.settle_times_by_url())))

    def post(self, request: Request) -> Response:
        """Fix the settle time of a handler URL; null: learn it again."""
        values = SettleInput().check(request.data)
        settling.fix(values["url"], values["ms"])
        return Response(SETTLE_TIME.represent(settling.settle_time(values["url"])))


class HoldInput(Input):
    """How long the hold lasts at most, and a note for people."""

    ttl = SecondsField(0.001, tokens.MAX_TTL)
    note = String(tokens.MAX_NOTE)


class HoldsView(APIView):
    """`/sandbox/holds`: take and list holds."""

    operations: Operations = {
        "get": Operation("Holds", "List holds", [HOLD]),
        "post": Operation("Holds", "Take a hold", HOLD, 201, body=HoldInput),
    }

    def get(self, request: Request) -> Response:
        """Return the holds that keep the clock: `[{"id", "note", "expires_in"}]`."""
        return Response(list(map(HOLD.represent, tokens.holds())))

    def post(self, request: Request) -> Response:
        """Take a hold: 201 `{"id", "note", "expires_in"}`."""
        values = HoldInput().check(request.data)
        hold = tokens.take_hold(values.get("ttl", tokens.DEFAULT_TTL), values.get("note", ""))
        return Response(HOLD.represent(hold), status=201)


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
