"""`/sandbox/lease`: the exclusive use of the sandbox, for test runners that share one."""

from __future__ import annotations

import time
from typing import Any, TypedDict, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api import fast_json
from requests_queue.api.fields import Input, String
from requests_queue.catalog.models import User
from sandbox.api.inputs import SecondsField
from sandbox.api.schema import Operation, Operations
from sandbox.api.types import Seconds
from sandbox.timeline import deferred
from sandbox.timeline.deferred import Result
from sandbox.timeline.observer import observer
from sandbox.world import leases
from sandbox.world.leases import ActiveLease, Taker


class Lease(TypedDict):
    """A lease of the sandbox; `id` is the right to renew and to release it."""

    id: str
    note: str
    expires_in: Seconds


class CurrentLease(TypedDict):
    """Who has the lease, null for nobody; without its id."""

    note: str
    expires_in: Seconds


class LeaseState(TypedDict):
    """The lease of the sandbox."""

    lease: CurrentLease | None


class RenewInput(Input):
    """How long the lease lasts from now on."""

    ttl = SecondsField(0.001, leases.MAX_TTL)


class LeaseInput(RenewInput):
    """How long the lease lasts, a note for people, and how long to wait for it."""

    note = String(leases.MAX_NOTE)
    wait = SecondsField(0, leases.MAX_WAIT)


class LeaseView(APIView):
    """`/sandbox/lease`: take the lease, and see who has it."""

    operations: Operations = {
        "get": Operation("Lease", "Show the lease", LeaseState),
        "post": Operation(
            "Lease", "Take the lease", Lease, 201, body=LeaseInput, errors=(409, 429)
        ),
    }

    def get(self, request: Request) -> Response:
        """Return who uses the sandbox exclusively: `{"lease": {"note", "expires_in"} | null}`."""
        lease = leases.current()
        shown = {k: v for k, v in _represent(lease).items() if k != "id"} if lease else None
        return Response({"lease": shown})

    def post(self, request: Request) -> HttpResponse:
        """Take the exclusive use of the sandbox: 201 `{"id", "note", "expires_in"}`.

        409 if another caller has it, after `wait` seconds of real time (0 by default), in which
        callers get it in order. It binds callers that take it: calls without it are not refused.
        """
        values = LeaseInput().check(request.data)
        ttl, note = values.get("ttl", leases.DEFAULT_TTL), values.get("note", "")
        if seconds := values.get("wait", 0):
            taker = Taker(
                owner=str(cast(User, request.user).pk),
                deadline=time.monotonic() + seconds,
                ttl=ttl,
                note=note,
                answer=_answer,
            )
            observer.add(leases.takers, taker)
            # A client that has ended would keep the lease from the others.
            return deferred.respond(request, taker.future, needs_client=True)
        lease = leases.take(ttl, note)
        if lease is None:
            raise leases.taken()
        return Response(_represent(lease), status=201)


class LeaseTokenView(APIView):
    """`/sandbox/lease/{id}`: renew and release the lease."""

    operations: Operations = {
        "put": Operation("Lease", "Renew the lease", Lease, body=RenewInput, errors=(404,)),
        "delete": Operation("Lease", "Release the lease", None, 204, errors=(404,)),
    }

    def put(self, request: Request, id: str) -> Response:
        """Let the lease expire `ttl` seconds from now: 200; 404 if it has expired."""
        ttl = RenewInput().check(request.data).get("ttl", leases.DEFAULT_TTL)
        return Response(_represent(leases.renew(id, ttl)))

    def delete(self, request: Request, id: str) -> Response:
        """Release the lease: 204; 404 if it was released or has expired."""
        leases.release(id)
        return Response(status=204)


def _represent(lease: ActiveLease) -> dict[str, Any]:
    return {"id": lease.id, "note": lease.note, "expires_in": round(lease.expires_in, 3)}


def _answer(lease: ActiveLease | None) -> Result:
    if lease is not None:
        return _json(201, _represent(lease))
    refusal = leases.taken()
    return _json(409, {"error_code": refusal.code, "errors": refusal.messages})


def _json(status: int, body: dict[str, Any]) -> Result:
    return Result(status, "application/json", fast_json.encode(body))


urlpatterns = [
    path("lease", LeaseView.as_view()),
    path("lease/<str:id>", LeaseTokenView.as_view()),
]
