"""Read-only admin of conversations; each account sees its own, and its private messages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from requests_queue.catalog.admin_access import GuardedAdmin, PartOfPage, account_of
from requests_queue.catalog.admin_show import moment, text
from requests_queue.conversations.models import PRIVATE, Conversation, Message


class MessageInline(PartOfPage):
    """The messages of a conversation."""

    model = Message
    read_only = True
    fields = readonly_fields = ("created_at", "type", "author", "message_text")
    ordering = ("id",)
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Return the messages that the user may see."""
        rows: QuerySet[Message] = super().get_queryset(request)
        account = account_of(request)
        if account is not None:
            rows = rows.filter(~Q(type=PRIVATE) | Q(account=account))
        return rows.select_related("creator", "account")

    @admin.display(description="created")
    def created_at(self, row: Message) -> str:
        """Return when the message was created."""
        return moment(row.created)

    @admin.display(description="by")
    def author(self, row: Message) -> str:
        """Return the author's name."""
        return str(row.creator or row.account or "Connect")

    @admin.display(description="text")
    def message_text(self, row: Message) -> SafeString | str:
        """Return the escaped text."""
        return text(row.text)


@admin.register(Conversation)
class ConversationAdmin(GuardedAdmin):
    """Conversations, with their messages."""

    read_only = True
    vendor_sees = ("accounts",)
    provider_sees = ("accounts",)
    list_display = ("shown_id", "instance_id", "topic", "status", "created_at")
    list_filter = ("status",)
    search_fields = ("instance_id__exact", "topic")
    fields = readonly_fields = ("shown_id", "instance_id", "topic", "status", "parties",
                                "created_at", "closed_at")  # fmt: skip
    inlines = [MessageInline]

    @admin.display(description="ID", ordering="pk")
    def shown_id(self, row: Conversation) -> str:
        """Return the identifier in the API."""
        return row.shown_id

    @admin.display(description="accounts")
    def parties(self, row: Conversation) -> str:
        """Return the names of the accounts that are parties to the conversation."""
        return ", ".join(str(account) for account in row.accounts.all())

    @admin.display(description="created", ordering="created")
    def created_at(self, row: Any) -> str:
        """Return when the conversation was created."""
        return moment(row.created)

    @admin.display(description="closed")
    def closed_at(self, row: Any) -> str:
        """Return when the conversation was closed."""
        return moment(row.closed)
