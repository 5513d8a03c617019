"""Read-only admin of conversations; each account sees its own, and its private messages."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from requests_queue.catalog.admin_access import GuardedAdmin, PartOfPage, account_of
from requests_queue.catalog.admin_show import column, moment, moment_column, text
from requests_queue.conversations.models import PRIVATE, Conversation, Message


class MessageInline(PartOfPage):
    """The messages of a conversation."""

    model = Message
    read_only = True
    fields = readonly_fields = ("created_at", "type", "author", "message_text")
    ordering = ("id",)
    created_at = staticmethod(moment_column("created", "created"))
    message_text = staticmethod(column("text", "text", text))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Return the messages that the user may see."""
        rows: QuerySet[Message] = super().get_queryset(request)
        account = account_of(request)
        if account is not None:
            rows = rows.filter(~Q(type=PRIVATE) | Q(account=account))
        return rows.select_related("creator", "account")

    @admin.display(description="by")
    def author(self, row: Message) -> str:
        """Return the author's name."""
        return str(row.creator or row.account or "Connect")


@admin.register(Conversation)
class ConversationAdmin(GuardedAdmin):
    """Conversations, with their messages."""

    read_only = True
    vendor_sees = ("accounts",)
    provider_sees = ("accounts",)
    list_display = ("shown_id", "instance_id", "topic", "status", "created_at")
    list_filter = ("status",)
    search_fields = ("instance_id__exact", "topic")
    fields = readonly_fields = (
        "shown_id",
        "instance_id",
        "topic",
        "status",
        "parties",
        "created_at",
        "closed_at",
    )
    inlines = [MessageInline]
    # The identifier in the API.
    shown_id = staticmethod(column("shown_id", "ID", str, ordering="pk"))
    created_at = staticmethod(column("created", "created", moment, ordering="created"))
    closed_at = staticmethod(moment_column("closed", "closed"))

    @admin.display(description="accounts")
    def parties(self, row: Conversation) -> str:
        """Return the names of the accounts that are parties to the conversation."""
        return ", ".join(str(account) for account in row.accounts.all())
