"""What was done to a webhook on these pages, in the history that the admin shows of it."""

from __future__ import annotations

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry

from portal.identity import Reader
from webhooks.models import Webhook

__all__ = ["ADDITION", "CHANGE", "DELETION", "note"]


def note(reader: Reader, row: Webhook, said: str, flag: int = CHANGE) -> None:
    """Note that the reader did this to the webhook."""
    LogEntry.objects.log_actions(reader.user.pk, [row], flag, said, single_object=True)
