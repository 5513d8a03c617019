"""`/sandbox/faults`: what goes wrong on purpose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import fast_json
from requests_queue.catalog.models import User
from requests_queue.errors import Missing
from requests_queue.fields import Input, Integer
from requests_queue.schema import Also, Stamp
from sandbox import deferred, timeline
from sandbox.api.fault_input import FaultInput, refuse_unknown
from sandbox.api.fields import SecondsField
from sandbox.api.operations import Operation, Operations
from sandbox.api.queries import NumberText, Query
from sandbox.api.types import Seconds
from sandbox.deferred import Result
from sandbox.faults import arming, barriers
from sandbox.faults.barriers import MAX_WAIT, Caller
from sandbox.faults.kinds import KINDS
from sandbox.models import Fault as FaultRow
from sandbox.models import HeldResponse
from sandbox.observer import observer

TIMEOUT = 5.0  # real seconds
_MOST_HELD = 10_000


class HeldCall(TypedDict):
    """A call whose response is held; `ordinal` is its place among the fault's matching calls."""

    ordinal: int
    method: str
    path: str


class Fault(TypedDict):
    """A fault: `is_armed` until it has expired or has fired so many times."""

    id: str
    name: str
    kind: Annotated[str, Also(enum=list(KINDS))]
    side: Literal["delivery", "api"]
    parameters: dict[str, Any]
    webhook: str | None
    account: str | None
    method: str | None
    path: str | None
    probability: float | None
    times: int | None
    nth: list[int] | None
    after: int
    seed: int
    armed_at: Stamp
    expires_in: Seconds | None
    is_armed: bool
    asked: Annotated[int, Also(description="Matching requests since it was armed.")]
    fired: Annotated[int, Also(description="Requests that it changed.")]
    held: Annotated[list[HeldCall], Also(description="Calls whose response waits, oldest first.")]


class Faults(TypedDict):
    """Faults, in the order of arming."""

    faults: list[Fault]


class Released(TypedDict):
    """The calls whose responses were released, and those that still wait."""

    released: list[HeldCall]
    held: list[HeldCall]


class FaultQuery(Query):
    """How many held calls to wait for."""

    held = NumberText(1, _MOST_HELD, help_text="Wait until so many responses are held.")
    timeout = SecondsField(0, MAX_WAIT)


class ReleaseInput(Input):
    """How many responses to release."""

    count = Integer(1, _MOST_HELD, help_text="The oldest so many; by default all.")


class FaultsView(APIView):
    """`/sandbox/faults`: arm, list and clear faults."""

    operations: Operations = {
        "get": Operation("Faults", "List faults", Faults),
        "post": Operation("Faults", "Arm a fault", Fault, 201, body=FaultInput, errors=(409,)),
        "delete": Operation("Faults", "Clear all faults", Faults),
    }

    def get(self, request: Request) -> Response:
        """Return the faults that are not cleared, in the order of arming, with their counts."""
        return Response({"faults": represent(arming.listed())})

    def post(self, request: Request) -> Response:
        """Arm a fault: 201; 409 if another one has its name."""
        row = arming.arm(FaultInput().spec(request.data))
        return Response(represent([row])[0], status=201)

    def delete(self, request: Request) -> Response:
        """Clear all faults, and return them with their last counts."""
        return Response({"faults": represent(arming.clear_all())})


class FaultView(APIView):
    """`/sandbox/faults/{id}`: show and clear a fault."""

    operations: Operations = {
        "get": Operation("Faults", "Show a fault", Fault, query=FaultQuery, errors=(404, 429)),
        "delete": Operation("Faults", "Clear a fault", Fault, errors=(404,)),
    }

    def get(self, request: Request, id: str) -> HttpResponse:
        """Return a fault with its counts; 404 if it is cleared.

        With `held`, wait until so many responses are held, or until `timeout` (5 seconds of real
        time by default) has passed, and return the fault as it is then.
        """
        values = FaultQuery().check_query(request.query_params)
        fault = represent([arming.get(id)])[0]
        count = values.get("held", 0)
        if len(fault["held"]) >= count:
            return Response(fault)
        caller = Caller(
            owner=str(cast(User, request.user).pk),
            deadline=time.monotonic() + values.get("timeout", TIMEOUT),
            fault=id,
            count=count,
            answer=lambda: _answer(id),
        )
        observer.add(barriers.callers, caller)
        return deferred.respond(request, caller.future)

    def delete(self, request: Request, id: str) -> Response:
        """Clear a fault, and return it with its last counts; 404 if it is cleared already."""
        return Response(represent([arming.clear(id)])[0])


class ReleaseView(APIView):
    """`/sandbox/faults/{id}/release`: release held responses."""

    operations: Operations = {
        "post": Operation(
            "Faults", "Release held responses", Released, body=ReleaseInput, errors=(404,)
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """Send the responses that the fault holds, the oldest first; 404 if it is cleared."""
        body, data = ReleaseInput(), cast(Any, request.data)
        count = body.check(data).get("count")
        refuse_unknown(data, body.fields, "")
        arming.get(id)
        released = barriers.release(id, count)
        held = barriers.held([id]).get(id, ())
        return Response({"released": _calls(released), "held": _calls(held)})


def represent(rows: Sequence[FaultRow]) -> list[dict[str, Any]]:
    """Return faults as the API shows them; one statement for all that they hold."""
    held = barriers.held([row.pk for row in rows])
    return [{**_represent(row), "held": _calls(held.get(row.pk, ()))} for row in rows]


def _calls(rows: Sequence[HeldResponse]) -> list[dict[str, Any]]:
    return [{"ordinal": row.number, "method": row.method, "path": row.path} for row in rows]


def _answer(fault_id: str) -> Result:
    """Return the response of a caller that has waited for held responses."""
    try:
        status, body = 200, represent([arming.get(fault_id)])[0]
    except Missing as missing:
        status, body = missing.status, {"error_code": missing.code, "errors": missing.messages}
    return Result(status, "application/json", fast_json.encode(body))


def _represent(row: FaultRow) -> dict[str, Any]:
    left: float | None = getattr(row, "expires_in", None)
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "side": row.side,
        "parameters": row.parameters,
        **{name: row.scope.get(name) for name in ("webhook", "account", "method", "path")},
        "probability": row.probability,
        "times": row.times,
        "nth": row.nth,
        "after": row.after,
        "seed": row.seed,
        "armed_at": timeline.format_time(row.armed_at),
        "expires_in": None if left is None else max(0.0, round(left, 3)),
        "is_armed": arming.is_armed(row),
        "asked": row.asked,
        "fired": row.fired,
    }


urlpatterns = [
    path("faults", FaultsView.as_view()),
    path("faults/<str:id>", FaultView.as_view()),
    path("faults/<str:id>/release", ReleaseView.as_view()),
]
