"""Conversations of the demo data: messages about changes of status, and messages of users.

Runs last and includes all objects but drafts, whose parties have not been notified.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from requests_queue.catalog.models import User
from requests_queue.conversations import writing
from requests_queue.conversations.models import MESSAGE, STATE_CHANGE, Conversation, Message
from requests_queue.queues import base
from requests_queue.queues.base import Queue, QueueObject
from requests_queue.seed.accounts import DISTRIBUTOR_USER, VENDOR_USER

_MESSAGES = {
    "PR-2934-6610-1178-001": (
        (DISTRIBUTOR_USER, "The clinic would like to keep its name: is there a variant left?"),
        (VENDOR_USER, "marlow-dental is free. Please put it into the form, and we go on today."),
    ),
    "PR-5810-2277-4101-001": ((VENDOR_USER, "Capacity for 1,000 GB is being added."),),
    "CA-731-204-552": ((VENDOR_USER, "Which order is it? Please send its ID."),),
}


def add_conversations(at: datetime) -> dict[str, int]:
    """Add missing conversations with their messages, in seven statements."""
    existing = set(Conversation.objects.values_list("instance_id", flat=True))
    objects = {row.pk: (queue, row) for queue, row in _objects() if row.pk not in existing}
    Conversation.objects.bulk_create(
        (
            Conversation(
                instance_id=pk,
                topic=writing.topic_of(queue.object_class, pk),
                created=row.created,
            )
            for pk, (queue, row) in objects.items()
        ),
        ignore_conflicts=True,
    )
    conversations = list(Conversation.objects.filter(instance_id__in=objects).order_by("pk"))
    link = Conversation.accounts.through
    link._default_manager.bulk_create(
        (
            link(conversation_id=conversation.pk, account_id=account_id)
            for conversation in conversations
            for account_id in objects[conversation.instance_id][1].parties()
        ),
        ignore_conflicts=True,
    )
    users = {user.uid: user for user in User.objects.filter(uid__startswith="UR-")}
    messages = [
        message
        for conversation in conversations
        for message in _messages(conversation, objects[conversation.instance_id][1], users)
    ]
    Message.objects.bulk_create(messages)
    return {"conversations": len(conversations), "messages": len(messages)}


def _objects() -> Iterator[tuple[Queue, QueueObject]]:
    """Yield the objects of all queues whose parties have been notified."""
    for queue in base.registered():
        rows = queue.model._default_manager.exclude(status__in=queue.silent_statuses)
        for row in rows.order_by("created", "pk"):
            yield queue, row


def _messages(
    conversation: Conversation, row: QueueObject, users: dict[str, User]
) -> Iterator[Message]:
    """Yield the messages about the changes of an object's status, then those of users."""
    changed = row.updated > row.created and row.status
    created = writing.said(None, "" if changed else row.status)
    yield _of_platform(conversation, created, row.created)
    if changed:
        yield _of_platform(conversation, f"Status changed to {row.status}.", row.updated)
    for minutes, (uid, text) in enumerate(_MESSAGES.get(row.pk, ()), 1):
        user = users.get(uid)
        if user is not None and user.account_id in row.parties():
            yield Message(
                conversation=conversation,
                type=MESSAGE,
                text=text,
                creator=user,
                account_id=user.account_id,
                created=row.updated + timedelta(minutes=minutes),
            )


def _of_platform(conversation: Conversation, text: str, at: datetime) -> Message:
    return Message(conversation=conversation, type=STATE_CHANGE, text=text, created=at)
