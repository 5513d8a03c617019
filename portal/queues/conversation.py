"""Messages that are written on an object's page, into the object's conversation."""

from __future__ import annotations

from django import forms
from django.db import transaction
from django.http import QueryDict

from portal.identity import Viewer
from requests_queue.catalog.models import Account
from requests_queue.conversations import writing
from requests_queue.conversations.models import MESSAGE, OPEN, PRIVATE, Conversation
from requests_queue.errors import Refused
from requests_queue.queues import services
from requests_queue.queues.base import QueueObject

_BODY = writing.MessageInput()


class MessageForm(forms.Form):
    """A new message; the service of conversations validates it."""

    text = forms.CharField(
        label="Message", required=False, strip=False, widget=forms.Textarea({"rows": 2})
    )
    is_private = forms.BooleanField(required=False)
    use_required_attribute = False

    def __init__(self, account: Account, post: QueryDict | None = None) -> None:
        super().__init__(post, auto_id="message-%s")
        self.fields["text"].widget.is_required = True
        self.fields["is_private"].label = f"Only for {account.name}"

    def send(self, row: QueueObject, viewer: Viewer) -> bool:
        """Add the message and return whether that succeeded; otherwise the form has the errors."""
        if not self.is_valid():
            return False
        kind = PRIVATE if self.cleaned_data["is_private"] else MESSAGE
        text = self.cleaned_data["text"].replace("\r\n", "\n")
        try:
            values = _BODY.check(services.checked({"text": text, "type": kind}))
            with transaction.atomic():
                writing.post(_conversation_of(row, viewer).pk, values, viewer.actor)
        except Refused as refused:
            self.add_error("text", " ".join(error.message for error in refused.errors))
            return False
        return True


def _conversation_of(row: QueueObject, viewer: Viewer) -> Conversation:
    """Return the object's conversation, which is created for a draft that has none."""
    found = find(row, viewer.account)
    return found or writing.create({"instance_id": row.pk}, viewer.actor)


def find(row: QueueObject, account: Account) -> Conversation | None:
    """Return the conversation about an object, if there is one."""
    return Conversation.visible_to(account).filter(instance_id=row.pk).first()


def is_closed(row: QueueObject, account: Account) -> bool:
    """Whether the object's conversation takes no more messages."""
    conversation = find(row, account)
    return conversation is not None and conversation.status != OPEN
