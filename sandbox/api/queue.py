"""`/sandbox/queue/…`: samples, actions and validations of queue objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Boolean, Free, Id, Input
from requests_queue.catalog.actors import SYSTEM, Actor
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Forbidden, Invalid, Missing
from requests_queue.queues import base, samples, transitions, validation
from sandbox.api.schema import Operation, Operations


class QueueObject(TypedDict):
    """An object of a queue."""

    id: str
    status: str
    product: str


class Validated(QueueObject):
    """A validated object: whether a validator was called, and its parameters."""

    called: bool
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]


class SampleInput(Input):
    """What the sample is of."""

    queue = Id()
    type = Id()
    product = Id()
    draft = Boolean()


class ObjectInput(Input):
    """An object, and a body about it."""

    id = Id()
    data = Free(allow_null=True)  # type: ignore[assignment]


class ActionInput(ObjectInput):
    """An action of an object, and its body."""

    action = Id()


class SamplesView(APIView):
    """`POST /sandbox/queue/samples {"queue", "type"?, "product"?, "draft"?}`: 201 `{"id", …}`."""

    operations: Operations = {
        "post": Operation("Queues", "Create a sample", QueueObject, 201, body=SampleInput)
    }

    def post(self, request: Request) -> Response:
        """Create a realistic object that the caller is a party to."""
        values = SampleInput().check(request.data)
        account = cast(Account, cast(User, request.user).account)
        row = samples.make(
            values.get("queue") or "",
            values.get("type"),
            values.get("product"),
            account,
            draft=values.get("draft", False),
        )
        return Response(_summary(row), status=201)


class MovesView(APIView):
    """`POST /sandbox/queue/moves {"id", "action", "data"?}`: 200 `{"id", "status", …}`."""

    operations: Operations = {
        "post": Operation(
            "Queues", "Run an action", QueueObject, body=ActionInput, errors=(404, 409)
        )
    }

    def post(self, request: Request) -> Response:
        """Run an action as the party that may run it."""
        values = ActionInput().check(request.data)
        pk, name = values.get("id") or "", values.get("action") or ""
        row = _run(pk, name, values.get("data", {}), cast(User, request.user))
        return Response(_summary(row))


class ValidateView(APIView):
    """`POST /sandbox/queue/validate {"id", "data"?}`: 200 `{"id", "called", "before", "after"…}`.

    The path ends in `/validate`, so the web server uses the threads for validations.
    """

    operations: Operations = {
        "post": Operation(
            "Queues", "Validate an object", Validated, body=ObjectInput, errors=(404, 409)
        )
    }

    def post(self, request: Request) -> Response:
        """Validate a draft or an inquiry as its distributor."""
        values = ObjectInput().check(request.data)
        user = cast(User, request.user)
        return Response(_validate(values.get("id") or "", values.get("data", {}), user))


def _summary(row: base.QueueObject) -> dict[str, str]:
    return {"id": row.pk, "status": row.status, "product": row.product_id}


def _run(pk: str, name: str, data: Mapping[str, Any], user: User) -> base.QueueObject:
    """Run an action of an object as the party that may run it.

    The caller must be a party to the object. Raises Missing, Invalid, or the queue's refusal.
    """
    queue, row = _get_object(pk, user)
    if name not in queue.by_name:
        raise Invalid("action", f"Unknown action {name}. Available: {', '.join(queue.by_name)}.")
    actor = _actor(queue, row, name, user)
    changed: base.QueueObject = transitions.move(queue.model, pk, name, actor, data)
    return changed


def _validate(pk: str, data: Mapping[str, Any], user: User) -> dict[str, Any]:
    """Update and validate a draft or an inquiry as its distributor; return `Validated`.

    The caller must be a party to the object. Raises Missing, Invalid, or the validation's refusal.
    """
    queue, row = _get_object(pk, user)
    target = validation.find(queue.object_class)
    if target is None:
        raise Invalid("id", f"A {queue.object_class} has no validation.")
    before = target.params_of(target.shown(pk))
    called = validation.validate(target, pk, data, Actor(None, row.provider))
    row.refresh_from_db()
    after = target.params_of(target.shown(pk))
    return {**_summary(row), "called": called, "before": before, "after": after}


def _get_object(pk: str, user: User) -> tuple[base.Queue, base.QueueObject]:
    """Return an object and its queue if the user's account is a party to it; raises Missing."""
    match = base.find_object(pk)
    if match is None or user.account is None:
        raise Missing(pk)
    queue, row = match
    if not queue.model.visible_to(user.account).filter(pk=pk).exists():
        raise Missing(pk)
    return queue, row


def _actor(queue: base.Queue, row: base.QueueObject, name: str, user: User) -> Actor:
    """Return the caller if the caller may run the action, else the party that may.

    An action that is not allowed in the current status gets the actor of its other statuses, so
    that `transitions` raises the error.
    """
    moves = queue.by_name[name]
    current = [move for move in moves if row.status in move.source]
    roles = {role for move in current or moves for role in move.actors - {SYSTEM}}
    own = Actor(user, user.account)
    if not own.roles_for(row).isdisjoint(roles):
        return own
    for account in (row.vendor, row.provider):
        other = Actor(None, account)
        if not other.roles_for(row).isdisjoint(roles):
            return other
    raise Forbidden(f"{name} is an action of the platform.")


urlpatterns = [
    path("queue/samples", SamplesView.as_view()),
    path("queue/moves", MovesView.as_view()),
    path("queue/validate", ValidateView.as_view()),
]
