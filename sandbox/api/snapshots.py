"""`/sandbox/reset` and `/sandbox/snapshots`: go back to the demo data or to a saved world."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Boolean, Input, String
from requests_queue.api.schema import Stamp
from sandbox.api.inputs import SecondsField
from sandbox.api.schema import Operation, Operations
from sandbox.timeline import timeline
from sandbox.world import gate, snapshot_storage, snapshots
from sandbox.world.snapshots import Replacement

MAX_PATIENCE = 600.0  # seconds


class Replaced(TypedDict):
    """The world was replaced; `unsettled` is what it did not wait for."""

    now: Stamp
    took_ms: int
    unsettled: list[str]


class Snapshot(TypedDict):
    """A snapshot: when it was saved in real time, its platform time, and if it can be restored."""

    name: str
    created: Stamp | None
    now: Stamp | None
    usable: bool


class SnapshotDiff(TypedDict):
    """Objects that were added, removed and changed; `truncated` if there are more."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    truncated: bool


class PatienceInput(Input):
    """For how long requests and handlers may finish, in real time."""

    patience = SecondsField(0, MAX_PATIENCE)


class SnapshotInput(PatienceInput):
    """The name of a new snapshot, and whether it may replace another one."""

    name = String(required=True)
    replace = Boolean()


class ResetView(APIView):
    """`POST /sandbox/reset {"patience"?}`: 200, 503 if something does not end."""

    operations: Operations = {
        "post": Operation(
            "Reset", "Go back to the demo data", Replaced, body=PatienceInput, errors=(503,)
        )
    }

    def post(self, request: Request) -> Response:
        """Go back to the demo data: `{"now", "took_ms", "unsettled"}`."""
        return Response(_replaced(snapshots.reset(_patience(request))))


class SnapshotsView(APIView):
    """`/sandbox/snapshots`: list and save snapshots."""

    operations: Operations = {
        "get": Operation("Snapshots", "List snapshots", [Snapshot]),
        "post": Operation(
            "Snapshots",
            "Save a snapshot",
            Snapshot,
            201,
            body=SnapshotInput,
            errors=(409, 503),
        ),
    }

    def get(self, request: Request) -> Response:
        """Return the snapshots by name: `[{"name", "created", "now", "usable"}]`."""
        return Response([_represent(each) for each in snapshots.all_snapshots()])

    def post(self, request: Request) -> Response:
        """Save the present: 201, 409 if the name exists, unless `replace` is true."""
        values = SnapshotInput().check(request.data)
        saved = snapshots.save(
            values["name"],
            replace=values.get("replace", False),
            patience=values.get("patience", gate.PATIENCE),
        )
        return Response(_represent(saved), status=201)


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
            Replaced,
            body=PatienceInput,
            errors=(404, 409, 503),
        )
    }

    def post(self, request: Request, name: str) -> Response:
        """Go back to a snapshot: `{"now", "took_ms", "unsettled"}`."""
        return Response(_replaced(snapshots.restore(name, _patience(request))))


class DiffView(APIView):
    """`GET /sandbox/snapshots/{a}/diff/{b}`: what differs; `now` is the present."""

    operations: Operations = {
        "get": Operation("Snapshots", "Compare snapshots", SnapshotDiff, errors=(404, 409))
    }

    def get(self, request: Request, a: str, b: str) -> Response:
        """Return the objects that were added, removed and changed, by field."""
        diff = snapshots.compare(a, b)
        return Response(
            {
                "added": diff.added,
                "removed": diff.removed,
                "changed": diff.changed,
                "truncated": diff.truncated,
            }
        )


def _patience(request: Request) -> float:
    patience: float = PatienceInput().check(request.data or {}).get("patience", gate.PATIENCE)
    return patience


def _replaced(replacement: Replacement) -> dict[str, Any]:
    return {
        "now": timeline.format_time(replacement.now),
        "took_ms": replacement.took_ms,
        "unsettled": replacement.unsettled,
    }


def _represent(snapshot: snapshot_storage.Snapshot) -> dict[str, Any]:
    created, now = (
        timeline.format_time(datetime.fromisoformat(text)) if text else None
        for text in (snapshot.created, snapshot.now)
    )
    usable = snapshots.is_usable(snapshot)
    return {"name": snapshot.name, "created": created, "now": now, "usable": usable}


urlpatterns = [
    path("reset", ResetView.as_view()),
    path("snapshots", SnapshotsView.as_view()),
    path("snapshots/<str:name>", SnapshotView.as_view()),
    path("snapshots/<str:name>/restore", RestoreView.as_view()),
    path("snapshots/<str:a>/diff/<str:b>", DiffView.as_view()),
]
