"""The API of queues: objects for both parties, actions by `POST …/{id}/<action>`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue import assumptions
from requests_queue.api.fields import Id, Input
from requests_queue.catalog.actors import SYSTEM
from requests_queue.catalog.models import User
from requests_queue.catalog.rest import Collection, markdown, routes
from requests_queue.errors import Invalid, Missing
from requests_queue.queues import services, transitions, validation
from requests_queue.queues.base import Queue
from requests_queue.queues.services import Service
from requests_queue.queues.validation import Validated


class AssigneeInput(Input):
    """The user of the caller's account to assign to, by one of both."""

    id = Id()
    email = Id()


ASSIGNEE = AssigneeInput()


class QueueCollection(Collection):
    """The objects of a queue, for their parties; the queue declares who may take which action."""

    queue: ClassVar[Queue]
    service: ClassVar[Service]
    # Actions with a response of 204; others respond 200 with the object.
    without_answer: ClassVar[frozenset[str]] = frozenset()
    # Whether `assign` without a user means the caller.
    assigns_caller: ClassVar[bool] = False

    def visible(self) -> QuerySet[Any]:
        """Return the objects that the caller's account may see."""
        return self.queue.model.visible_to(self.account)

    def listed(self) -> QuerySet[Any]:
        """Return the objects that the lists of the caller's account have."""
        return self.queue.model.listed_to(self.account)

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the objects with everything that their representation needs."""
        return self.service.complete(rows)

    def check_visible(self, pk: str) -> None:
        """Raise Missing if the caller's account may not see the object."""
        if not self.visible().filter(pk=pk).exists():
            raise Missing(pk)

    def create(self, request: Request) -> Response:
        """Create an object: 201; 400, 403, or 409 if Connect allows only one."""
        return self.created(self.service.create(self.data, self.actor))

    def act(self, request: Request, pk: str, name: str) -> Response:
        """Take an action: 200 with the object, or 204; 400 or 403 if it is not allowed."""
        self.check_visible(pk)
        data = {**self.data}
        if code := request.query_params.get("code"):
            data["code"] = code
        transitions.move(self.queue.model, pk, name, self.actor, data)
        return self.done(name)

    def done(self, name: str) -> Response:
        """Respond to a request that has changed the object."""
        status = assumptions.value("action_status")
        if status == "204" or (status == "documented" and name in self.without_answer):
            return Response(status=204)
        return self.answer(self.get_object())

    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Assign the object to a user of the caller's account, by `id` or `email`.

        Listing and tier configuration requests are assigned to the caller without a body.
        """
        self.check_visible(pk)
        names = ASSIGNEE.check(self.data)
        wanted = {name: value for name, value in names.items() if value is not None}
        if not wanted and self.assigns_caller:
            return self._assigned(pk, self.user, "assign")
        if len(wanted) != 1:
            raise Invalid("id", "Name the user by id or by email.")
        return self._assigned(pk, self._colleague(**wanted), "assign")

    @action(detail=True, methods=["post"])
    def unassign(self, request: Request, pk: str) -> Response:
        """Remove the assignee."""
        self.check_visible(pk)
        return self._assigned(pk, None, "unassign")

    def _colleague(self, **wanted: str) -> User:
        users = services.colleagues(self.actor)
        user = users.filter(**{"uid" if k == "id" else k: v for k, v in wanted.items()}).first()
        if user is None:
            raise Missing(*wanted.values())
        return user

    def _assigned(self, pk: str, user: User | None, name: str) -> Response:
        services.assign(self.queue, self.actor, pk, user)
        return self.done(name)


class ValidatedCollection(QueueCollection):
    """The objects of a queue whose drafts and inquiries are validated."""

    service: ClassVar[Validated]

    def update(self, request: Request, pk: str) -> Response:
        """Change note and parameters, or a draft as a whole: 200; partial bodies are allowed."""
        self.check_visible(pk)
        self.service.edit(pk, self.data, self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["get"])
    def render(self, request: Request, pk: str) -> HttpResponse:
        """Return 200 with what the customer or reseller reads: Markdown."""
        return markdown(self.service.text(self.get_object()))

    @action(detail=True, methods=["post"])
    def validate(self, request: Request, pk: str) -> Response:
        """Apply the body and let the vendor's validator edit the object: 200 with the object.

        400 `VAL_100` if a handler is down, slow or wrong; then nothing is changed.
        """
        self.check_visible(pk)
        validation.validate(self.service, pk, self.data, self.actor)
        return self.answer(self.get_object())


def queue_routes(prefix: str, view: type[QueueCollection]) -> list[Any]:
    """Return the URL patterns of a queue: its collection and its actions."""
    # A queue without an assignee has no such methods.
    has_assignee = getattr(view, "assign", None) is not None
    services.register(view.queue, view.service, has_assignee=has_assignee)
    names = {m.name: None for m in view.queue.actions if m.actors - {SYSTEM}}
    act = view.as_view({"post": "act"})
    actions = [path(f"{prefix}/<str:pk>/{name}", act, {"name": name}) for name in names]
    return routes(prefix, view, *actions)
