"""The conversations of the demo data: what their moves would have said, and what people did.

Runs last, about all objects that are there; drafts have none, as nobody has been told of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from requests_queue.catalog.models import User
from requests_queue.conversations import writing
from requests_queue.conversations.models import MESSAGE, STATE_CHANGE, Conversation, Message
from requests_queue.queues import base
from requests_queue.queues.base import Queue, QueueObject
from requests_queue.seed.accounts import VENDOR_USER
from requests_queue.seed.listings import DISTRIBUTOR_USER

_TALK = {
    "PR-2934-6610-1178-001": (
        (DISTRIBUTOR_USER, "The clinic would like to keep its name: is there a variant left?"),
        (VENDOR_USER, "marlow-dental is free. Please put it into the form, and we go on today."),
    ),
    "PR-5810-2277-4101-001": ((VENDOR_USER, "Capacity for 1,000 GB is being added."),),
}


def add_conversations(at: datetime) -> dict[str, int]:
    """Add the conversations that are missing, with their messages; seven statements."""
    known = set(Conversation.objects.values_list("instance_id", flat=True))
    told = {row.pk: (queue, row) for queue, row in _told() if row.pk not in known}
    Conversation.objects.bulk_create(
        (
            Conversation(
                instance_id=pk,
                topic=writing.topic_of(queue.object_class, pk),
                created=row.created,
            )
            for pk, (queue, row) in told.items()
        ),
        ignore_conflicts=True,
    )
    made = list(Conversation.objects.filter(instance_id__in=told).order_by("pk"))
    link = Conversation.accounts.through
    link._default_manager.bulk_create(
        (
            link(conversation_id=each.pk, account_id=account_id)
            for each in made
            for account_id in told[each.instance_id][1].parties()
        ),
        ignore_conflicts=True,
    )
    people = {user.uid: user for user in User.objects.filter(uid__startswith="UR-")}
    messages = [each for of in made for each in _messages(of, told[of.instance_id][1], people)]
    Message.objects.bulk_create(messages)
    return {"conversations": len(made), "messages": len(messages)}


def _told() -> Iterator[tuple[Queue, QueueObject]]:
    """Yield the objects of all queues that their parties have been told of."""
    for queue in base.registered():
        rows = queue.model._default_manager.exclude(status__in=queue.silent_statuses)
        for row in rows.order_by("created", "pk"):
            yield queue, row


def _messages(of: Conversation, row: QueueObject, people: dict[str, User]) -> Iterator[Message]:
    """Yield what is said about an object: how it got where it is, and the talk about it."""
    moved = row.updated > row.created and row.status
    yield _of_platform(of, writing.said(None, "" if moved else row.status), row.created)
    if moved:
        yield _of_platform(of, f"Status changed to {row.status}.", row.updated)
    for minutes, (uid, text) in enumerate(_TALK.get(row.pk, ()), 1):
        user = people.get(uid)
        if user is not None and user.account_id in row.parties():
            yield Message(
                conversation=of,
                type=MESSAGE,
                text=text,
                creator=user,
                account_id=user.account_id,
                created=row.updated + timedelta(minutes=minutes),
            )


def _of_platform(of: Conversation, text: str, at: datetime) -> Message:
    return Message(conversation=of, type=STATE_CHANGE, text=text, created=at)
