"""Receivers of the queues' signals: write changes into the conversations of the objects."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from requests_queue.conversations import writing
from requests_queue.conversations.models import Conversation
from requests_queue.queues.transitions import Change
from requests_queue.signals import object_deleted, queue_changed


@receiver(queue_changed)
def on_queue_changed(change: Change, **kwargs: Any) -> None:
    """Write the change into the object's conversation, in the transaction of the change."""
    writing.tell(change)


@receiver(object_deleted)
def on_object_deleted(object_id: str, **kwargs: Any) -> None:
    """Delete the conversation about a deleted object: the next draft may have its id."""
    Conversation.objects.filter(instance_id=object_id).delete()
