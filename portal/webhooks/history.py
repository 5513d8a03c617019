"""What was done to a webhook on these pages, in the history that the admin shows of it."""

from __future__ import annotations

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry

from portal.identity import Viewer
from webhooks.models import Webhook

__all__ = ["ADDITION", "CHANGE", "DELETION", "note"]


def note(viewer: Viewer, row: Webhook, said: str, flag: int = CHANGE) -> None:
    """Note that the viewer did this to the webhook."""
    LogEntry.objects.log_actions(viewer.user.pk, [row], flag, said, single_object=True)
