"""`/sandbox/reset`, `/sandbox/snapshots`, `/sandbox/lease` and `/sandbox/clock`.

Go back to the demo data or to a saved world, use the sandbox exclusively, for test runners that
share one, and move its platform time; with settle times, and holds that keep the clock.
"""

from __future__ import annotations

import time
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Boolean, Input, Integer, String
from requests_queue.api.resources import SELF, Field, Many, Part
from requests_queue.api.schema import FROM_OUTSIDE, Untrusted
from requests_queue.catalog.models import User
from sandbox.api.schema import DurationField, NumberField, Operation, Operations, SecondsField
from sandbox.clock import moves, settle_times, settling
from sandbox.clock.moves import IDLE_MAX, MAX_PATIENCE, MAX_STEPS, MOVED
from sandbox.clock.settling import HOLD_PART, SETTLE_TIME_PART, UNSETTLED, Token, Unsettled
from sandbox.timeline import observer
from sandbox.timeline.observer import MAX_WAIT, Result, json_result, refusal, respond
from sandbox.timeline.timeline import CursorText, Moment, Seconds, format_time, moment
from sandbox.world import gate, snapshot_storage, snapshots
from sandbox.world.gate import CURRENT_LEASE, LEASE, Taker

REPLACED = Part(
    "Replaced",
    "A new world, with the entries after `cursor`; `unsettled` is what it did not wait for.",
    {"now": moment("now"), "took_ms": int, "unsettled": list[Untrusted], "cursor": CursorText},
)


def _saved(name: str) -> Field:
    """Return the field of a moment of a snapshot, which is ISO 8601, empty if it is damaged."""

    def read(snapshot: snapshot_storage.Snapshot) -> str | None:
        text = getattr(snapshot, name)
        return format_time(datetime.fromisoformat(text)) if text else None

    return Field(Moment | None, read)


SNAPSHOT = Part(
    "Snapshot",
    "A snapshot: when it was saved in real time, its platform time, and if it can be restored.",
    {
        "name": Untrusted,
        "created": _saved("created"),
        "now": _saved("now"),
        "usable": Field(bool, snapshots.is_usable),
    },
)
_OBJECTS = Annotated[list[dict[str, Any]], FROM_OUTSIDE]
DIFF = Part(
    "SnapshotDiff",
    "Objects that were added, removed and changed; `truncated` if there are more.",
    {"added": _OBJECTS, "removed": _OBJECTS, "changed": _OBJECTS, "truncated": bool},
)


class PatienceInput(Input):
    """For how long requests and handlers may finish, in real time."""

    patience = SecondsField(0, MAX_WAIT)


class ReplaceInput(PatienceInput):
    """The same, and a settle time for all handlers."""

    settle = NumberField(0, settle_times.MAX_FIXED * 1000, "milliseconds")

    def in_seconds(self, data: Any) -> dict[str, Any]:
        """Return the values of a body, the settle time in seconds; raises Invalid."""
        values: dict[str, Any] = self.check(data)
        if values.get("settle") is not None:
            values["settle"] /= 1000
        return values


class SnapshotInput(PatienceInput):
    """The name of a new snapshot, and whether it may replace another one."""

    name = String(required=True)
    replace = Boolean()


class ResetView(APIView):
    """`POST /sandbox/reset {"patience"?, "settle"?}`: 200, 503 if something does not end."""

    operations: Operations = {
        "post": Operation(
            "Reset", "Go back to the demo data", REPLACED, body=ReplaceInput, errors=(503,)
        )
    }

    def post(self, request: Request) -> Response:
        """Go back to the demo data: `{"now", "took_ms", "unsettled", "cursor"}`."""
        arguments = ReplaceInput().in_seconds(request.data or {})
        return Response(REPLACED.represent(snapshots.reset(**arguments)))


class SnapshotsView(APIView):
    """`/sandbox/snapshots`: list and save snapshots."""

    operations: Operations = {
        "get": Operation("Snapshots", "List snapshots", [SNAPSHOT]),
        "post": Operation(
            "Snapshots",
            "Save a snapshot",
            SNAPSHOT,
            201,
            body=SnapshotInput,
            errors=(409, 503),
        ),
    }

    def get(self, request: Request) -> Response:
        """Return the snapshots by name: `[{"name", "created", "now", "usable"}]`."""
        return Response(list(map(SNAPSHOT.represent, snapshots.all_snapshots())))

    def post(self, request: Request) -> Response:
        """Save the present: 201, 409 if the name exists, unless `replace` is true."""
        values = SnapshotInput().check(request.data)
        saved = snapshots.save(values.pop("name"), **values)
        return Response(SNAPSHOT.represent(saved), status=201)


class SnapshotView(APIView):
    """`/sandbox/snapshots/{name}`: delete a snapshot."""

    operations: Operations = {
        "delete": Operation("Snapshots", "Delete a snapshot", None, 204, errors=(404,))
    }

    def delete(self, request: Request, name: str) -> Response:
        """Delete a snapshot: 204."""
        snapshots.delete(name)
        return Response(status=204)


class RestoreView(APIView):
    """`POST …/{name}/restore {"patience"?, "settle"?}`: 200, 409 if it is unusable."""

    operations: Operations = {
        "post": Operation(
            "Snapshots",
            "Go back to a snapshot",
            REPLACED,
            body=ReplaceInput,
            errors=(404, 409, 503),
        )
    }

    def post(self, request: Request, name: str) -> Response:
        """Go back to a snapshot: `{"now", "took_ms", "unsettled", "cursor"}`."""
        arguments = ReplaceInput().in_seconds(request.data or {})
        return Response(REPLACED.represent(snapshots.restore(name, **arguments)))


class DiffView(APIView):
    """`GET /sandbox/snapshots/{a}/diff/{b}`: what differs; `now` is the present."""

    operations: Operations = {
        "get": Operation("Snapshots", "Compare snapshots", DIFF, errors=(404, 409))
    }

    def get(self, request: Request, a: str, b: str) -> Response:
        """Return the objects that were added, removed and changed, by field."""
        return Response(DIFF.represent(snapshots.compare(a, b)))


LEASE_STATE = Part(
    "LeaseState", "The lease of the sandbox.", {"lease": Field(CURRENT_LEASE, SELF, empty=None)}
)


class RenewInput(Input):
    """How long the lease lasts from now on."""

    ttl = SecondsField(0.001, settling.MAX_TTL)


class HoldInput(RenewInput):
    """How long the hold lasts at most, and a note for people."""

    note = String(settling.MAX_NOTE)


class LeaseInput(HoldInput):
    """How long the lease lasts, a note for people, and how long to wait for it."""

    wait = SecondsField(0, MAX_WAIT)


class LeaseView(APIView):
    """`/sandbox/lease`: take the lease, and see who has it."""

    operations: Operations = {
        "get": Operation("Lease", "Show the lease", LEASE_STATE),
        "post": Operation(
            "Lease", "Take the lease", LEASE, 201, body=LeaseInput, errors=(409, 429)
        ),
    }

    def get(self, request: Request) -> Response:
        """Return who uses the sandbox exclusively: `{"lease": {"note", "expires_in"} | null}`."""
        return Response(LEASE_STATE.represent(gate.current_lease()))

    def post(self, request: Request) -> HttpResponse:
        """Take the exclusive use of the sandbox: 201 `{"id", "note", "expires_in"}`.

        409 if another caller has it, after `wait` seconds of real time (0 by default), in which
        callers get it in order. It binds callers that take it: calls without it are not refused.
        """
        values = LeaseInput().check(request.data)
        ttl, note = values.get("ttl", settling.DEFAULT_TTL), values.get("note", "")
        if seconds := values.get("wait", 0):
            taker = Taker(
                owner=str(cast(User, request.user).pk),
                deadline=time.monotonic() + seconds,
                ttl=ttl,
                note=note,
                answer=_answer,
            )
            observer.add(gate.takers, taker)
            # A client that has ended would keep the lease from the others.
            return respond(request, taker.future, needs_client=True)
        lease = gate.take_lease(ttl, note)
        if lease is None:
            raise gate.lease_conflict()
        return Response(LEASE.represent(lease), status=201)


class LeaseTokenView(APIView):
    """`/sandbox/lease/{id}`: renew and release the lease."""

    operations: Operations = {
        "put": Operation("Lease", "Renew the lease", LEASE, body=RenewInput, errors=(404,)),
        "delete": Operation("Lease", "Release the lease", None, 204, errors=(404,)),
    }

    def put(self, request: Request, id: str) -> Response:
        """Let the lease expire `ttl` seconds from now: 200; 404 if it has expired."""
        ttl = RenewInput().check(request.data).get("ttl", settling.DEFAULT_TTL)
        return Response(LEASE.represent(gate.renew_lease(id, ttl)))

    def delete(self, request: Request, id: str) -> Response:
        """Release the lease: 204; 404 if it was released or has expired."""
        gate.release_lease(id)
        return Response(status=204)


def _answer(lease: Token | None) -> Result:
    if lease is None:
        return refusal(gate.lease_conflict())
    return json_result(201, LEASE.represent(lease))


# The clock.


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


class MoveInput(ReplaceInput):
    """What every move takes: real seconds to wait at each stop, and a settle time for all."""

    patience = SecondsField(0, MAX_PATIENCE)

    def options(self, data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values of a body, and the arguments of a move; raises Invalid."""
        values = self.in_seconds(data)
        return values, {name: values.pop(name, None) for name in ("patience", "settle")}


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
        "get": Operation("Time", "List settle times", [SETTLE_TIME_PART]),
        "post": Operation("Time", "Fix a settle time", SETTLE_TIME_PART, body=SettleInput),
    }

    def get(self, request: Request) -> Response:
        """Return the settle times of the known handlers: `[{"url", "ms", "source"}]`."""
        return Response(list(map(SETTLE_TIME_PART.represent, settling.settle_times_by_url())))

    def post(self, request: Request) -> Response:
        """Fix the settle time of a handler URL; null: learn it again."""
        values = SettleInput().check(request.data)
        settling.fix(values["url"], values["ms"])
        return Response(SETTLE_TIME_PART.represent(settling.settle_time(values["url"])))


class HoldsView(APIView):
    """`/sandbox/holds`: take and list holds."""

    operations: Operations = {
        "get": Operation("Holds", "List holds", [HOLD_PART]),
        "post": Operation("Holds", "Take a hold", HOLD_PART, 201, body=HoldInput),
    }

    def get(self, request: Request) -> Response:
        """Return the holds that keep the clock: `[{"id", "note", "expires_in"}]`."""
        return Response(list(map(HOLD_PART.represent, settling.holds())))

    def post(self, request: Request) -> Response:
        """Take a hold: 201 `{"id", "note", "expires_in"}`."""
        values = HoldInput().check(request.data)
        hold = settling.take_hold(values.get("ttl", settling.DEFAULT_TTL), values.get("note", ""))
        return Response(HOLD_PART.represent(hold), status=201)


class HoldView(APIView):
    """`/sandbox/holds/{id}`: release a hold."""

    operations: Operations = {
        "delete": Operation("Holds", "Release a hold", None, 204, errors=(404,))
    }

    def delete(self, request: Request, id: str) -> Response:
        """Release a hold: 204; 404 if it was released or has expired."""
        settling.release_hold(id)
        return Response(status=204)


urlpatterns = [
    path("reset", ResetView.as_view()),
    path("snapshots", SnapshotsView.as_view()),
    path("snapshots/<str:name>", SnapshotView.as_view()),
    path("snapshots/<str:name>/restore", RestoreView.as_view()),
    path("snapshots/<str:a>/diff/<str:b>", DiffView.as_view()),
    path("lease", LeaseView.as_view()),
    path("lease/<str:id>", LeaseTokenView.as_view()),
    path("clock", ClockView.as_view()),
    path("clock/advance", AdvanceView.as_view()),
    path("clock/next", NextView.as_view()),
    path("clock/run-until-idle", RunUntilIdleView.as_view()),
    path("settle", SettleView.as_view()),
    path("holds", HoldsView.as_view()),
    path("holds/<str:id>", HoldView.as_view()),
]
