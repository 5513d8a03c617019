"""The first steps to a delivery: start a handler, create a webhook, create a request."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db.models import Count, Q, Sum

from requests_queue.catalog.models import Account
from webhooks.models import Webhook


@dataclass(frozen=True, slots=True)
class ReadyHandler:
    """A handler that comes with the installation: its command and the URL at which it listens."""

    command: str
    url: str

    def is_running(self) -> bool:
        """Whether something accepts connections at the URL, which is on this machine."""
        parts = urlsplit(self.url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=0.2).close()
        except OSError:
            return False
        return True


# Apps above the portal append theirs in `AppConfig.ready`.
READY_HANDLERS: list[ReadyHandler] = []


@dataclass(frozen=True, slots=True)
class Progress:
    """Which steps are done."""

    handler: bool
    webhook: bool
    request: bool

    @property
    def is_incomplete(self) -> bool:
        """Whether Home shows the steps."""
        return not (self.webhook and self.request)


def progress(account: Account) -> Progress:
    """Return the account's progress; one statement."""
    responded = Q(last_success__isnull=False) | Q(last_failure__status_code__isnull=False)
    totals = Webhook.objects.filter(account=account).aggregate(
        webhooks=Count("pk"), events=Sum("events"), responded=Count("pk", filter=responded)
    )
    webhook, request = bool(totals["webhooks"]), bool(totals["events"])
    # Don't connect to handlers once the steps are no longer shown.
    candidates = () if webhook and request else READY_HANDLERS
    handler = bool(totals["responded"]) or any(each.is_running() for each in candidates)
    return Progress(handler, webhook, request)
