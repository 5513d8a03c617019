"""`/sandbox/reset`, `/sandbox/snapshots` and `/sandbox/lease`.

Go back to the demo data or to a saved world, and use the sandbox exclusively, for test runners that
share one.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Boolean, Input, String
from requests_queue.api.resources import SELF, Field, Part
from requests_queue.catalog.models import User
from sandbox.api.schema import Operation, Operations, SecondsField
from sandbox.clock import tokens
from sandbox.clock.tokens import CURRENT_LEASE, LEASE, Taker, Token
from sandbox.timeline import observer
from sandbox.timeline.observer import MAX_WAIT, Result, json_result, refusal, respond
from sandbox.timeline.timeline import Moment, format_time, moment
from sandbox.world import gate, snapshot_storage, snapshots

REPLACED = Part(
    "Replaced",
    "The world was replaced; `unsettled` is what it did not wait for.",
    {"now": moment("now"), "took_ms": int, "unsettled": list[str]},
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
        "name": str,
        "created": _saved("created"),
        "now": _saved("now"),
        "usable": Field(bool, snapshots.is_usable),
    },
)
_OBJECTS = list[dict[str, Any]]
DIFF = Part(
    "SnapshotDiff",
    "Objects that were added, removed and changed; `truncated` if there are more.",
    {"added": _OBJECTS, "removed": _OBJECTS, "changed": _OBJECTS, "truncated": bool},
)


class PatienceInput(Input):
    """For how long requests and handlers may finish, in real time."""

    patience = SecondsField(0, MAX_WAIT)


class SnapshotInput(PatienceInput):
    """The name of a new snapshot, and whether it may replace another one."""

    name = String(required=True)
    replace = Boolean()


class ResetView(APIView):
    """`POST /sandbox/reset {"patience"?}`: 200, 503 if something does not end."""

    operations: Operations = {
        "post": Operation(
            "Reset", "Go back to the demo data", REPLACED, body=PatienceInput, errors=(503,)
        )
    }

    def post(self, request: Request) -> Response:
        """Go back to the demo data: `{"now", "took_ms", "unsettled"}`."""
        return Response(REPLACED.represent(snapshots.reset(_patience(request))))


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
        saved = snapshots.save(
            values["name"],
            replace=values.get("replace", False),
            patience=values.get("patience", gate.PATIENCE),
        )
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
    """`POST /sandbox/snapshots/{name}/restore {"patience"?}`: 200, 409 if it is unusable."""

    operations: Operations = {
        "post": Operation(
            "Snapshots",
            "Go back to a snapshot",
            REPLACED,
            body=PatienceInput,
            errors=(404, 409, 503),
        )
    }

    def post(self, request: Request, name: str) -> Response:
        """Go back to a snapshot: `{"now", "took_ms", "unsettled"}`."""
        return Response(REPLACED.represent(snapshots.restore(name, _patience(request))))


class DiffView(APIView):
    """`GET /sandbox/snapshots/{a}/diff/{b}`: what differs; `now` is the present."""

    operations: Operations = {
        "get": Operation("Snapshots", "Compare snapshots", DIFF, errors=(404, 409))
    }

    def get(self, request: Request, a: str, b: str) -> Response:
        """Return the objects that were added, removed and changed, by field."""
        return Response(DIFF.represent(snapshots.compare(a, b)))


def _patience(request: Request) -> float:
    patience: float = PatienceInput().check(request.data or {}).get("patience", gate.PATIENCE)
    return patience


LEASE_STATE = Part(
    "LeaseState", "The lease of the sandbox.", {"lease": Field(CURRENT_LEASE, SELF, empty=None)}
)


class RenewInput(Input):
    """How long the lease lasts from now on."""

    ttl = SecondsField(0.001, tokens.MAX_TTL)


class LeaseInput(RenewInput):
    """How long the lease lasts, a note for people, and how long to wait for it."""

    note = String(tokens.MAX_NOTE)
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
        return Response(LEASE_STATE.represent(tokens.lease()))

    def post(self, request: Request) -> HttpResponse:
        """Take the exclusive use of the sandbox: 201 `{"id", "note", "expires_in"}`.

        409 if another caller has it, after `wait` seconds of real time (0 by default), in which
        callers get it in order. It binds callers that take it: calls without it are not refused.
        """
        values = LeaseInput().check(request.data)
        ttl, note = values.get("ttl", tokens.DEFAULT_TTL), values.get("note", "")
        if seconds := values.get("wait", 0):
            taker = Taker(
                owner=str(cast(User, request.user).pk),
                deadline=time.monotonic() + seconds,
                ttl=ttl,
                note=note,
                answer=_answer,
            )
            observer.add(tokens.takers, taker)
            # A client that has ended would keep the lease from the others.
            return respond(request, taker.future, needs_client=True)
        lease = tokens.take_lease(ttl, note)
        if lease is None:
            raise tokens.leased()
        return Response(LEASE.represent(lease), status=201)


class LeaseTokenView(APIView):
    """`/sandbox/lease/{id}`: renew and release the lease."""

    operations: Operations = {
        "put": Operation("Lease", "Renew the lease", LEASE, body=RenewInput, errors=(404,)),
        "delete": Operation("Lease", "Release the lease", None, 204, errors=(404,)),
    }

    def put(self, request: Request, id: str) -> Response:
        """Let the lease expire `ttl` seconds from now: 200; 404 if it has expired."""
        ttl = RenewInput().check(request.data).get("ttl", tokens.DEFAULT_TTL)
        return Response(LEASE.represent(tokens.renew_lease(id, ttl)))

    def delete(self, request: Request, id: str) -> Response:
        """Release the lease: 204; 404 if it was released or has expired."""
        tokens.release_lease(id)
        return Response(status=204)


def _answer(lease: Token | None) -> Result:
    return refusal(tokens.leased()) if lease is None else json_result(201, LEASE.represent(lease))


urlpatterns = [
    path("reset", ResetView.as_view()),
    path("snapshots", SnapshotsView.as_view()),
    path("snapshots/<str:name>", SnapshotView.as_view()),
    path("snapshots/<str:name>/restore", RestoreView.as_view()),
    path("snapshots/<str:a>/diff/<str:b>", DiffView.as_view()),
    path("lease", LeaseView.as_view()),
    path("lease/<str:id>", LeaseTokenView.as_view()),
]
