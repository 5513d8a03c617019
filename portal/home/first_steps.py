"""The first three steps of somebody who has just arrived, and which of them are done."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db.models import Count, Q, Sum

from requests_queue.catalog.models import Account
from webhooks.models import Webhook


@dataclass(frozen=True, slots=True)
class ReadyHandler:
    """A handler that is there to be started: by which command, and where it listens then."""

    command: str
    url: str

    def listens(self) -> bool:
        """Whether something listens there, found out at once: it is on this machine."""
        parts = urlsplit(self.url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=0.2).close()
        except OSError:
            return False
        return True


# A room above the portal that brings one adds it when its app is ready.
READY_HANDLERS: list[ReadyHandler] = []


@dataclass(frozen=True, slots=True)
class Progress:
    """Which of the steps are done: a handler runs, a webhook is there, a request was told of."""

    handler: bool
    webhook: bool
    request: bool

    @property
    def wanted(self) -> bool:
        """Whether somebody is still to be shown the way."""
        return not (self.webhook and self.request)


def progress(account: Account) -> Progress:
    """Return how far the account has come, by one statement."""
    answered = Q(last_success__isnull=False) | Q(last_failure__status_code__isnull=False)
    found = Webhook.objects.filter(account=account).aggregate(
        webhooks=Count("pk"), events=Sum("events"), answered=Count("pk", filter=answered)
    )
    webhook, request = bool(found["webhooks"]), bool(found["events"])
    # Whose first steps are made is not looked for.
    looked_for = () if webhook and request else READY_HANDLERS
    handler = bool(found["answered"]) or any(ready.listens() for ready in looked_for)
    return Progress(handler, webhook, request)
