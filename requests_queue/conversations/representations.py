"""What conversations and messages look like in the API.

`GET /conversations/{id}` and `GET /conversations/{id}/messages` of Connect's OpenAPI document;
`messages` inside a conversation is from published clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from requests_queue.catalog.models import Account, User
from requests_queue.catalog.representations import account_ref, icon
from requests_queue.conversations.models import Conversation, Message
from requests_queue.resources import format_datetime
from requests_queue.schema import Json

# Whoever reads names expects one.
_PLATFORM: Json = {"id": "UR-000-000-000", "name": "Connect", "icon": "/media/user/connect.svg"}


def conversation(row: Conversation) -> Json:
    """Return a conversation as `GET /conversations` lists it."""
    creator = _person(row.creator)
    events = {"created": _event(row.created, creator)}
    if row.closed:
        events["updated"] = _event(row.closed, _person(row.closed_by))
    return {
        "id": row.shown_id,
        "instance_id": row.instance_id,
        "topic": row.topic,
        "type": row.type,
        "status": row.status,
        "accounts": [account_ref(account) for account in row.accounts.all()],
        "creator": creator,
        "created": format_datetime(row.created),
        "events": events,
    }


def with_messages(row: Conversation, messages: Iterable[Message]) -> Json:
    """Return a conversation as `GET /conversations/{id}` has it."""
    return {**conversation(row), "messages": [message(each) for each in messages]}


def message(row: Message) -> Json:
    """Return a message; the platform's has no account."""
    creator = _person(row.creator, row.account)
    events = {"created": _event(row.created, creator)}
    if row.updated:
        events["updated"] = _event(row.updated, _person(row.updated_by, row.account))
    found: Json = {
        "id": row.shown_id,
        "conversation": Conversation(pk=row.conversation_id).shown_id,
        "created": format_datetime(row.created),
        "creator": creator,
        "text": row.text,
        "type": row.type,
        "events": events,
    }
    if row.account:
        found["account"] = account_ref(row.account)
    return found


def _person(user: User | None, account: Account | None = None) -> Json:
    """Return who did it: a user, an account of which no user is known, or the platform."""
    if user is not None:
        return {"id": user.uid, "name": user.name, "icon": icon(user)}
    return account_ref(account) if account else _PLATFORM


def _event(at: datetime, by: Json) -> Json:
    return {"at": format_datetime(at), "by": by}
