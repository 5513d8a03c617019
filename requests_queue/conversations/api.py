"""`/conversations`: what is said about the objects of all queues, for both parties of each."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Documented
from requests_queue.catalog.rest import Collection, routes
from requests_queue.conversations import writing
from requests_queue.conversations.models import Conversation, Message, number_of
from requests_queue.conversations.representations import (
    CONVERSATION,
    CONVERSATION_DETAIL,
    MESSAGE,
)
from requests_queue.errors import Missing

_OF_MESSAGE = ("creator", "account", "updated_by")
# Messages inside a conversation: the last ones, as many as the longest page has.
INSIDE = 1000


class Conversations(Collection):
    """`/conversations`, for the parties of each."""

    documented = Documented(
        "Conversations", "conversation", CONVERSATION_DETAIL, listed=CONVERSATION
    )
    represent_detail = staticmethod(CONVERSATION_DETAIL.represent)
    bodies = {"create": writing.ConversationInput()}
    related = ("creator", "closed_by")

    def visible(self) -> QuerySet[Conversation]:
        """Return the caller's conversations."""
        return Conversation.visible_to(self.account)

    def complete(self, rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
        """Return the conversations with their parties."""
        return super().complete(rows).prefetch_related("accounts")

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the row by its identifier."""
        return rows.filter(pk=number_of(Conversation.PREFIX, pk)).first()

    def answer(self, row: Any, status: int = 200) -> Response:
        """Answer with a conversation and its last messages."""
        messages = Message.visible_to(self.account).filter(conversation=row)
        last = messages.select_related(*_OF_MESSAGE).order_by("-pk")[:INSIDE]
        row.shown_messages = list(last)[::-1]
        return super().answer(row, status)

    def create(self, request: Request) -> Response:
        """Begin the conversation about a draft: 201, 400, or 409 where there is one."""
        return self.created(writing.create(self.body, self.actor))

    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        """End the conversation: 200, 400 where it is closed."""
        writing.close(self.get_object().pk, self.actor)
        return self.answer(self.get_object())


class Messages(Collection):
    """`/conversations/{id}/messages`, for the parties; 404 where the caller is none."""

    documented = Documented("Conversations", "message", MESSAGE)
    bodies = {
        "create": writing.MessageInput(),
        "update": writing.MessageInput(partial=True),
    }
    related = _OF_MESSAGE

    @property
    def conversation_id(self) -> int:
        """The number of the conversation in the path; raises Missing."""
        given = self.kwargs["conversation_id"]
        number = number_of(Conversation.PREFIX, given)
        if not Conversation.visible_to(self.account).filter(pk=number).exists():
            raise Missing(given)
        return number

    def visible(self) -> QuerySet[Message]:
        """Return the conversation's messages: private ones are for their author's account."""
        return Message.visible_to(self.account).filter(conversation=self.conversation_id)

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the row by its identifier."""
        return rows.filter(pk=number_of(Message.PREFIX, pk)).first()

    def create(self, request: Request, conversation_id: str) -> Response:
        """Say something: 201, 400 where the conversation is closed."""
        return self.answer(writing.post(self.conversation_id, self.body, self.actor), 201)

    def update(self, request: Request, conversation_id: str, pk: str) -> Response:
        """Change a message of the caller's own account: 200, 403 for any other."""
        writing.edit(self.get_object(), self.body, self.actor)
        return self.answer(self.get_object())


_MESSAGES = "conversations/<str:conversation_id>/messages"

urlpatterns = routes(
    "conversations",
    Conversations,
    path(_MESSAGES, Messages.as_view({"get": "list", "post": "create"})),
    path(f"{_MESSAGES}/<str:pk>", Messages.as_view({"get": "retrieve", "put": "update"})),
)
