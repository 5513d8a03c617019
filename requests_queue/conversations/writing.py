"""Conversations: messages about status changes, and messages of the API's callers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from requests_queue import clock, topics
from requests_queue.api.fields import Choice, Id, Input, String, Values
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import User
from requests_queue.conversations.models import (
    CLOSED,
    MESSAGE,
    OPEN,
    PRIVATE,
    STATE_CHANGE,
    TYPES,
    Conversation,
    Message,
)
from requests_queue.errors import ActionNotAllowed, Conflict, Forbidden, Invalid
from requests_queue.queues import base
from requests_queue.queues.transitions import Change
from requests_queue.signals import object_deleted, queue_changed

# Characters of a message; a conversation shows up to a thousand messages.
LONGEST = 10_000


@receiver(queue_changed)
def tell(change: Change, **kwargs: Any) -> None:
    """Write a message about a status change, and create the conversation if there is none.

    In the transaction of the change. Three statements for a creation, two for an action.
    """
    if change.status_from == change.status_to:
        return
    Message.objects.create(
        conversation_id=_conversation_of(change),
        type=STATE_CHANGE,
        text=said(change.status_from, change.status_to),
        creator=change.actor.user,
        account=change.actor.account,
        created=clock.shown(change.at),
    )


@receiver(object_deleted)
def forget(object_id: str, **kwargs: Any) -> None:
    """Delete the conversation about a deleted object: the next draft may have its id."""
    Conversation.objects.filter(instance_id=object_id).delete()


def said(before: str | None, after: str) -> str:
    """Return the text of a state change; objects without a status are just created."""
    if before is None:
        return f"Created in status {after}." if after else "Created."
    return f"Status changed from {before} to {after}."


def _conversation_of(change: Change) -> int:
    """Return the conversation of the changed object, of which all notified accounts are members."""
    if change.status_from is not None:
        links = Conversation.accounts.through._default_manager
        held = dict(
            links.filter(conversation__instance_id=change.object_id).values_list(
                "account_id", "conversation_id"
            )
        )
        if held.keys() >= set(change.account_ids):
            return int(held[change.account_ids[0]])
    topic = topic_of(change.object_class, change.object_id)
    return ensure(change.object_id, topic, change.account_ids, change.actor.user, change.at).pk


def topic_of(object_class: str, pk: str) -> str:
    """Return the default topic of a conversation: `Fulfillment request PR-…`."""
    return f"{object_class.replace('_', ' ').capitalize()} {pk}"


def ensure(
    instance_id: str, topic: str, account_ids: Iterable[str], creator: User | None, at: datetime
) -> Conversation:
    """Create the conversation about an object if there is none; two statements.

    Concurrent calls get the same one: the second INSERT changes nothing.
    """
    row = Conversation(
        instance_id=instance_id, topic=topic, creator=creator, created=clock.shown(at)
    )
    Conversation.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["instance_id"],
        update_fields=["instance_id"],
    )
    link = Conversation.accounts.through
    link._default_manager.bulk_create(
        [link(conversation_id=row.pk, account_id=pk) for pk in account_ids],
        ignore_conflicts=True,
    )
    return row


class ConversationInput(Input):
    """A new conversation about an object that has none."""

    instance_id = Id(required=True)
    topic = String(100)
    type = Choice(
        ("conversation",),
        allow_null=True,
        allow_blank=True,
        error_messages={
            "invalid_choice": "An object has one conversation, of type conversation, and no notes."
        },
    )


class MessageInput(Input):
    """The fields of a message; a private one is visible to the own account only."""

    text = String(LONGEST, required=True, error_messages={"blank": "This field is required."})
    type = Choice(TYPES, allow_null=True, allow_blank=True)


@transaction.atomic
def create(values: Values, actor: Actor) -> Conversation:
    """Create a conversation, which only drafts lack.

    Its parties are the object's. Raises Invalid, Conflict.
    """
    queue, row = _object(values["instance_id"], actor)
    existing = Conversation.objects.filter(instance_id=row.pk).first()
    if existing is not None:
        raise Conflict(
            "REQ_009",
            f"{row.pk} has the conversation {existing.shown_id} already.",
            params={"conversation_id": existing.shown_id},
        )
    topic = values.get("topic") or topic_of(queue.object_class, row.pk)
    return ensure(row.pk, topic, row.parties(), actor.user, clock.now())


def _object(pk: str, actor: Actor) -> tuple[base.Queue, base.QueueObject]:
    """Return the object of this id that the caller may see, locked; raises Invalid."""
    for queue in base.registered():
        seen = queue.model.visible_to(actor.account) if actor.account else None
        if seen is not None and seen.filter(pk=pk).exists():
            row = queue.model._default_manager.select_for_update().filter(pk=pk).first()
            if row is not None:
                return queue, row
    raise Invalid("instance_id", f"Object {pk} does not exist.")


def close(pk: int, actor: Actor) -> None:
    """Close a conversation; status changes are still written. Raises ActionNotAllowed."""
    ended = Conversation.objects.filter(pk=pk, status=OPEN).update(
        status=CLOSED, closed=clock.shown(clock.now()), closed_by=actor.user
    )
    if not ended:
        raise ActionNotAllowed(f"Conversation {Conversation(pk=pk).shown_id} is closed already.")
    _announce(pk)


@transaction.atomic
def post(pk: int, values: Values, actor: Actor) -> Message:
    """Add a message, by default of type `message`; raises ActionNotAllowed."""
    _still_open(pk)
    _announce(pk)
    return Message.objects.create(
        conversation_id=pk,
        type=values.get("type") or MESSAGE,
        text=values["text"],
        creator=actor.user,
        account=actor.account,
        created=clock.shown(clock.now()),
    )


def edit(row: Message, values: Values, actor: Actor) -> None:
    """Change a message of the caller's account; raises Forbidden, Invalid, ActionNotAllowed."""
    if row.account_id != (actor.account and actor.account.pk) or row.type == STATE_CHANGE:
        raise Forbidden("Only messages of your own account can be changed, and no state changes.")
    columns = {name: value for name, value in values.items() if value}
    if columns.get("type", MESSAGE) not in (MESSAGE, PRIVATE):
        raise Invalid("type", f"A {row.type} cannot become a {columns['type']}.")
    with transaction.atomic():
        _still_open(row.conversation_id)
        at = clock.shown(clock.now())
        Message.objects.filter(pk=row.pk).update(**columns, updated=at, updated_by=actor.user)
        _announce(row.conversation_id)


def _announce(pk: int) -> None:
    """Announce to the parties that the object of a conversation shows something new."""
    if topics.LISTENERS:
        rows = Conversation.objects.filter(pk=pk).values_list("accounts", "instance_id")
        for account, instance_id in rows:
            topics.announce_objects([account], instance_id)


def _still_open(pk: int) -> None:
    """Lock the conversation until commit; raises ActionNotAllowed if it is closed."""
    row = Conversation.objects.select_for_update().get(pk=pk)
    if row.status != OPEN:
        raise ActionNotAllowed(f"Conversation {row.shown_id} is closed: it takes no more messages.")
