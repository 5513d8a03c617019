"""`/sandbox/holds`: tokens that keep the clock from moving on."""

from __future__ import annotations

from typing import Any, TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.fields import Input, String
from sandbox import holds
from sandbox.api.fields import SecondsField
from sandbox.api.operations import Operation, Operations
from sandbox.api.types import Seconds


class Hold(TypedDict):
    """A hold; it expires in so many seconds."""

    id: str
    note: str
    expires_in: Seconds


class HoldInput(Input):
    """How long the hold lasts at most, and a note for people."""

    ttl = SecondsField(0.001, holds.MAX_TTL)
    note = String(holds.MAX_NOTE)


class HoldsView(APIView):
    """`/sandbox/holds`: take and list holds."""

    operations: Operations = {
        "get": Operation("Holds", "List holds", [Hold]),
        "post": Operation("Holds", "Take a hold", Hold, 201, body=HoldInput),
    }

    def get(self, request: Request) -> Response:
        """Return the holds that keep the clock: `[{"id", "note", "expires_in"}]`."""
        return Response([_represent(hold) for hold in holds.active()])

    def post(self, request: Request) -> Response:
        """Take a hold: 201 `{"id", "note", "expires_in"}`."""
        values = HoldInput().check(request.data)
        hold = holds.take(values.get("ttl", holds.DEFAULT_TTL), values.get("note", ""))
        return Response(_represent(hold), status=201)


class HoldView(APIView):
    """`/sandbox/holds/{id}`: release a hold."""

    operations: Operations = {
        "delete": Operation("Holds", "Release a hold", None, 204, errors=(404,))
    }

    def delete(self, request: Request, id: str) -> Response:
        """Release a hold: 204; 404 if it was released or has expired."""
        holds.release(id)
        return Response(status=204)


def _represent(hold: holds.ActiveHold) -> dict[str, Any]:
    return {"id": hold.id, "note": hold.note, "expires_in": round(hold.expires_in, 3)}


urlpatterns = [
    path("holds", HoldsView.as_view()),
    path("holds/<str:id>", HoldView.as_view()),
]
