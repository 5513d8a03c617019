"""`/sandbox/wait`: wait for a condition, without a thread of the web server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, TypedDict, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.views import APIView

from requests_queue.api.fields import Anything, Boolean, Input
from requests_queue.api.schema import Stamp
from requests_queue.catalog.models import User
from requests_queue.errors import Invalid
from sandbox.api import types
from sandbox.api.inputs import CursorField, DurationField, SecondsField
from sandbox.api.schema import Error, Operation, Operations
from sandbox.api.types import Seconds
from sandbox.timeline import deferred, timeline
from sandbox.timeline.timeline import Cursor
from sandbox.waits import condition_parsing, skipping
from sandbox.waits.condition_parsing import BadCondition
from sandbox.waits.conditions import Condition
from sandbox.waits.waiting import Wait

TIMEOUT, MAX_TIMEOUT = 5.0, 600.0  # real seconds


class Present(TypedDict):
    """What the conditions depend on: statuses of objects, webhooks out of order, idle."""

    statuses: dict[str, str | None]
    out_of_order: dict[str, bool]
    idle: bool | None


class WaitSatisfied(TypedDict):
    """The condition is true; `evidence` are the entries that made it true."""

    now: Stamp
    cursor: types.CursorText
    waited: Seconds
    evidence: list[types.Entry]
    present: Present


class Difference(TypedDict):
    """A point in which something differs from the condition."""

    field: str
    expected: str
    actual: str


class NearMiss(TypedDict):
    """An attempt, object or webhook that nearly made the condition true."""

    webhook: str | None
    delivery: int | None
    attempt: int | None
    object: str | None
    entry: types.Entry | None
    differs: list[Difference]


class WaitFailed(Error):
    """The condition is not true; `timeline` has the latest entries since the cursor."""

    stopped_because: Literal["timeout", "within", "idle", "impossible", "reset"]
    now: Stamp
    cursor: types.CursorText
    waited: Seconds
    waiting_for: list[str]
    near_misses: list[NearMiss]
    present: Present
    unsettled: list[types.Unsettled]
    timeline: list[types.Entry]
    timeline_left_out: int


class ConditionField(Anything):
    """A condition, which `sandbox.waits.condition_parsing` checks."""

    openapi: ClassVar[dict[str, Any]] = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "description": "`delivered`, `failed`, `called`, `status`, `idle`, `out_of_order`, or "
        "`all`, `any` or `never` of them.",
        "example": {"delivered": {"webhook": "WH-123-456-789", "attempts_at_most": 1}},
    }

    def __init__(self) -> None:
        super().__init__(required=True)


class WaitInput(Input):
    """A condition, and how long to wait for it."""

    until = ConditionField()
    since = CursorField(
        help_text="The cursor after which entries count: by default that of the last reset, or of "
        "the request if the condition has `never`."
    )
    timeout = SecondsField(0, MAX_TIMEOUT)
    skip = Boolean(help_text="Move the clock from one due moment to the next while waiting.")
    within = DurationField(help_text="The span of platform time, required by `never`.")


class WaitView(APIView):
    """`POST /sandbox/wait {"until", "since"?, "timeout"?, "skip"?, "within"?}`."""

    operations: Operations = {
        "post": Operation(
            "Waiting",
            "Wait for a condition",
            WaitSatisfied,
            body=WaitInput,
            errors=(429, 503),
            others={408: WaitFailed},
        )
    }

    def post(self, request: Request) -> HttpResponse:
        """Return 200 with the evidence when the condition is true, 408 if it is not in time.

        A wait that skips ends with its client: otherwise it would go on moving the clock.
        """
        condition, values = _read(request.data)
        wait = Wait(
            owner=str(cast(User, request.user).pk),
            condition=condition,
            since=values.get("since") or _default_since(condition),
            timeout=values.get("timeout", TIMEOUT),
            skip=values.get("skip", False),
            within=values.get("within"),
        )
        skipping.begin(wait)
        return deferred.respond(request, wait.future, needs_client=wait.skip)


def _default_since(condition: Condition) -> Cursor:
    return timeline.now() if condition.has_never() else timeline.last_reset()


def _read(data: Any) -> tuple[Condition, dict[str, Any]]:
    """Return the condition and the other values of a body; raises Invalid."""
    body = WaitInput()
    if isinstance(data, Mapping):
        for name in data:
            if name not in body.fields:
                raise Invalid(str(name)[:40], f"Unknown. Available: {', '.join(body.fields)}.")
    values = body.check(data)
    try:
        condition = condition_parsing.parse(values.pop("until", None))
    except BadCondition as error:
        raise Invalid(error.path, error.message) from None
    within: timedelta | None = values.get("within")
    if condition.has_never() and within is None:
        raise Invalid("within", "`never` needs a span of platform time, for example 1h.")
    if within is not None and not within:
        raise Invalid("within", "A span must be greater than 0.")
    return condition, values


urlpatterns = [path("wait", WaitView.as_view())]
