"""`/sandbox/queue/…`: samples, actions and validations of queue objects."""

from __future__ import annotations

from typing import cast

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Boolean, Free, Id, Input
from requests_queue.api.resources import Field, Part
from requests_queue.api.schema import UntrustedJson
from requests_queue.catalog.actors import SYSTEM, Actor
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Forbidden, Invalid, Missing
from requests_queue.queues import base, samples, sampling, transitions, validation
from requests_queue.suggestions import did_you_mean
from sandbox.api.schema import Operation, Operations

QUEUE_OBJECT = Part(
    "QueueObject",
    "An object of a queue; one that is not about a product has none.",
    {"id": str, "status": str, "product": Field(str | None, "product_id")},
)
VALIDATED = Part(
    "Validated",
    "A validated object: whether a validator was called, and its parameters.",
    {
        **QUEUE_OBJECT.keys,
        "called": bool,
        "before": list[UntrustedJson],
        "after": list[UntrustedJson],
    },
)


class SampleInput(Input):
    """What the sample is of."""

    queue = Id(help_text="The queue, for example fulfillment_request.")
    type = Id(help_text="A type of request of the queue; by default its first one.")
    product = Id(help_text="The ID of a product, PRD-…; by default a suitable one.")
    draft = Boolean(help_text="Create a draft, which can be validated.")


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
        "post": Operation("Queues", "Create a sample", QUEUE_OBJECT, 201, body=SampleInput)
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
        return Response(QUEUE_OBJECT.represent(row), status=201)


class MovesView(APIView):
    """`POST /sandbox/queue/moves {"id", "action", "data"?}`: 200 `{"id", "status", …}`."""

    operations: Operations = {
        "post": Operation(
            "Queues", "Run an action", QUEUE_OBJECT, body=ActionInput, errors=(404, 409)
        )
    }

    def post(self, request: Request) -> Response:
        """Run an action as the party that may run it."""
        values = ActionInput().check(request.data)
        pk, name = values.get("id") or "", values.get("action") or ""
        user = cast(User, request.user)
        queue, row = _get_object(pk, user)
        if name not in queue.by_name:
            text = f"Unknown action {name}. Available: {', '.join(queue.by_name)}."
            raise Invalid("action", text + did_you_mean(name, queue.by_name))
        data, target = values.get("data", {}), validation.find(queue.object_class)
        if name == "pend" and target is not None and target.params_of(data) is not None:
            # Answers are the customer's, for whom the distributor acts.
            actor = Actor(None, row.provider)
        else:
            actor = _actor(queue, row, name, user)
        changed = transitions.move(queue.model, pk, name, actor, data)
        return Response(QUEUE_OBJECT.represent(changed))


class ValidateView(APIView):
    """`POST /sandbox/queue/validate {"id", "data"?}`: 200 `{"id", "called", "before", "after"…}`.

    The path ends in `/validate`, so the web server uses the threads for validations.
    """

    operations: Operations = {
        "post": Operation(
            "Queues", "Validate an object", VALIDATED, body=ObjectInput, errors=(404, 409)
        )
    }

    def post(self, request: Request) -> Response:
        """Update and validate a draft or an inquiry as its distributor."""
        values = ObjectInput().check(request.data)
        pk = values.get("id") or ""
        queue, row = _get_object(pk, cast(User, request.user))
        target = validation.find(queue.object_class)
        if target is None:
            raise Invalid("id", f"A {queue.object_class} has no validation.")
        before = target.params_of(target.shown(pk))
        actor = Actor(None, row.provider)
        called = validation.validate(target, pk, values.get("data", {}), actor)
        row.refresh_from_db()
        after = target.params_of(target.shown(pk))
        shown = QUEUE_OBJECT.represent(row)
        return Response({**shown, "called": called, "before": before, "after": after})


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
    """Return the caller if the caller may run the action, else a user of the party that may.

    An action that is not allowed in the current status gets the actor of its other statuses, so
    that `transitions` raises the error.
    """
    moves = queue.by_name[name]
    current = [move for move in moves if row.status in move.source]
    roles = {role for move in current or moves for role in move.actors_for(row) - {SYSTEM}}
    own = Actor(user, user.account)
    if not own.roles_for(row).isdisjoint(roles):
        return own
    for account in (row.vendor, row.provider):
        other = sampling.with_user(account)
        if not other.roles_for(row).isdisjoint(roles):
            return other
    raise Forbidden(f"{name} is an action of the platform.")


urlpatterns = [
    path("queue/samples", SamplesView.as_view()),
    path("queue/moves", MovesView.as_view()),
    path("queue/validate", ValidateView.as_view()),
]
