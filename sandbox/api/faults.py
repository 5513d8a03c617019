"""`/sandbox/faults`: what goes wrong on purpose."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.schema import Also, Stamp
from sandbox import timeline
from sandbox.api.fault_input import FaultInput
from sandbox.api.operations import Operation, Operations
from sandbox.api.types import Seconds
from sandbox.faults import arming
from sandbox.faults.kinds import KINDS
from sandbox.models import Fault as FaultRow


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


class Faults(TypedDict):
    """Faults, in the order of arming."""

    faults: list[Fault]


class FaultsView(APIView):
    """`/sandbox/faults`: arm, list and clear faults."""

    operations: Operations = {
        "get": Operation("Faults", "List faults", Faults),
        "post": Operation("Faults", "Arm a fault", Fault, 201, body=FaultInput, errors=(409,)),
        "delete": Operation("Faults", "Clear all faults", Faults),
    }

    def get(self, request: Request) -> Response:
        """Return the faults that are not cleared, in the order of arming, with their counts."""
        return Response({"faults": [represent(row) for row in arming.listed()]})

    def post(self, request: Request) -> Response:
        """Arm a fault: 201; 409 if another one has its name."""
        row = arming.arm(FaultInput().spec(request.data))
        return Response(represent(row), status=201)

    def delete(self, request: Request) -> Response:
        """Clear all faults, and return them with their last counts."""
        return Response({"faults": [represent(row) for row in arming.clear_all()]})


class FaultView(APIView):
    """`/sandbox/faults/{id}`: show and clear a fault."""

    operations: Operations = {
        "get": Operation("Faults", "Show a fault", Fault, errors=(404,)),
        "delete": Operation("Faults", "Clear a fault", Fault, errors=(404,)),
    }

    def get(self, request: Request, id: str) -> Response:
        """Return a fault with its counts; 404 if it is cleared."""
        return Response(represent(arming.get(id)))

    def delete(self, request: Request, id: str) -> Response:
        """Clear a fault, and return it with its last counts; 404 if it is cleared already."""
        return Response(represent(arming.clear(id)))


def represent(row: FaultRow) -> dict[str, Any]:
    """Return a fault as the API shows it."""
    left: float | None = getattr(row, "expires_in", None)
    return {
        "id": row.pk, "name": row.name, "kind": row.kind, "side": row.side,
        "parameters": row.parameters,
        **{name: row.scope.get(name) for name in ("webhook", "account", "method", "path")},
        "probability": row.probability, "times": row.times, "nth": row.nth, "after": row.after,
        "seed": row.seed, "armed_at": timeline.format_time(row.armed_at),
        "expires_in": None if left is None else max(0.0, round(left, 3)),
        "is_armed": arming.is_armed(row), "asked": row.asked, "fired": row.fired,
    }  # fmt: skip


urlpatterns = [
    path("faults", FaultsView.as_view()),
    path("faults/<str:id>", FaultView.as_view()),
]
