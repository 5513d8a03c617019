"""Conversations and messages: `GET /conversations/{id}` and `GET /conversations/{id}/messages`.

`messages` inside a conversation is from published clients.
"""

from __future__ import annotations

from typing import Literal

from dj_rql.filter_cls import FilterArgs
from django.db.models import Q

from requests_queue.api.filter_tables import parts
from requests_queue.api.filtering import ConnectFilters
from requests_queue.api.resources import Field, Many, Part, Resource
from requests_queue.api.schema import AnyReference, Json, Stamp
from requests_queue.catalog.models import Account, User
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.conversations.models import Conversation, Message, number_of


def _actor(user: User | None, account: Account | None = None) -> Json:
    """Return the user who acted, the account if no user is known, or the platform."""
    if user is not None:
        return {"id": user.uid, "name": user.name, "icon": icon(user)}
    if account is not None:
        return PICTURED.represent(account)
    # Clients that read names expect one.
    return {"id": "UR-000-000-000", "name": "Connect", "icon": "/media/user/connect.svg"}


def _moment(at: str, by: Field) -> Part:
    return Part(
        "Said",
        "A moment and the account that acted; none for the platform.",
        {"at": Field(Stamp, at), "by": by},
    )


def _events(created: Part, updated: Field) -> Part:
    keys = {"created": created, "updated": updated}
    return Part("SaidEvents", "The moments of a conversation or a message.", keys)


class NumberedFilters(ConnectFilters):
    """Filters of rows whose identifier is a number behind a prefix."""

    def build_q_for_filter(self, data: FilterArgs) -> Q:
        """Return the condition for one comparison; an identifier stands for its number."""
        if data.filter_name == "id":
            number = number_of(self.MODEL.PREFIX, data.str_value.strip("\"'"))
            data = FilterArgs("id", data.operator, str(number), list_operator=data.list_operator)
        return super().build_q_for_filter(data)


_CREATOR = Field(AnyReference, lambda row: _actor(row.creator))
CONVERSATION = Resource(
    "Conversation",
    "What is said about an object of a queue.",
    {
        "id": Field(str, "shown_id"),
        "instance_id": str,
        "topic": str,
        "type": str,
        "status": Literal["open", "closed"],
        "accounts": Many(PICTURED, lambda row: row.accounts.all()),
        "creator": _CREATOR,
        "created": Stamp,
        "events": _events(
            _moment("created", _CREATOR),
            Field(
                _moment("closed", Field(AnyReference, lambda row: _actor(row.closed_by))),
                lambda row: row if row.closed else None,
                optional=True,
            ),
        ),
    },
    model=Conversation,
    search=("instance_id", "topic"),
    also={
        "id": "id",
        "creator.id": "creator__uid",
        "events.created.by.id": "creator__uid",
        "events.updated.at": "closed",
        "events.updated.by.id": "closed_by__uid",
    },
    custom=parts("messages"),
    filter_base=NumberedFilters,
)


# The platform's messages have no account.
_AUTHOR = Field(AnyReference, lambda row: _actor(row.creator, row.account))
MESSAGE = Resource(
    "Message",
    "Something said.",
    {
        "id": Field(str, "shown_id"),
        "conversation": Field(str, lambda row: Conversation(pk=row.conversation_id).shown_id),
        "created": Stamp,
        "creator": _AUTHOR,
        "text": str,
        "type": Literal["message", "state_change", "private"],
        "events": _events(
            _moment("created", _AUTHOR),
            Field(
                _moment(
                    "updated", Field(AnyReference, lambda row: _actor(row.updated_by, row.account))
                ),
                lambda row: row if row.updated else None,
                optional=True,
            ),
        ),
        "account": Field(PICTURED, optional=True),
    },
    model=Message,
    search=("text",),
    filter_base=NumberedFilters,
    also={
        "id": "id",
        "creator.id": "creator__uid",
        "events.created.by.id": "creator__uid",
        "events.updated.at": "updated",
        "events.updated.by.id": "updated_by__uid",
    },
)
CONVERSATION_DETAIL = Part(
    "ConversationDetail",
    "A conversation with its last 1,000 messages.",
    # Set by the view.
    {**CONVERSATION.keys, "messages": Many(MESSAGE, lambda row: row.shown_messages)},
)
