"""The first steps to an approved order: start a handler, create a webhook, order, approve."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db.models import Count, Q, Sum

from requests_queue.catalog.models import Account
from webhooks.models import Event, Webhook

# An account with more events is not new; the steps would count its events each time.
_MAX_EVENTS = 500


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The commands that a user of this installation has in a terminal, and what they need."""

    # Starts the bundled handler, which listens at `url`; the second approves orders, too.
    listen: str
    listen_and_approve: str
    url: str
    # Creates an order of a product, whose id follows.
    order: str
    install_pytest: str
    # Where this server reaches the user's own handler.
    own_url: str
    # Returns an API key of the account, or an empty text.
    api_key: Callable[[Account], str]


# Functions, since they depend on settings. Apps above the portal append theirs with their URLs.
COMMAND_LINES: list[Callable[[], CommandLine]] = []


def command_line() -> CommandLine | None:
    """Return the commands of this installation; a server has none."""
    return COMMAND_LINES[0]() if COMMAND_LINES else None


@dataclass(frozen=True, slots=True)
class Progress:
    """Which steps are done; `approved` is None for a distributor, who doesn't approve."""

    handler: bool
    webhook: bool
    delivery: bool
    approved: bool | None
    is_new: bool

    @property
    def is_incomplete(self) -> bool:
        """Whether Home shows the steps."""
        return self.is_new and not (self.webhook and self.delivery and self.approved is not False)


def progress(account: Account) -> Progress:
    """Return the account's progress; two statements at most."""
    rows = Webhook.objects.filter(account=account)
    responded = Q(last_success__isnull=False) | Q(last_failure__status_code__isnull=False)
    totals = rows.aggregate(
        webhooks=Count("pk"),
        events=Sum("events"),
        delivered=Sum("success_triggers"),
        responded=Count("pk", filter=responded),
    )
    webhook, delivery = bool(totals["webhooks"]), bool(totals["delivered"])
    is_new = (totals["events"] or 0) <= _MAX_EVENTS
    approved: bool | None = None
    if account.is_vendor:
        approved = bool(totals["events"]) and (not is_new or _has_approved(account))
    handler = bool(totals["responded"])
    found = Progress(handler, webhook, delivery, approved, is_new)
    if handler or not found.is_incomplete:
        return found
    # Connect to handlers only while the steps are shown.
    commands = command_line()
    is_running = commands is not None and any(map(_is_listening, {commands.url, commands.own_url}))
    return Progress(is_running, webhook, delivery, approved, is_new)


def _has_approved(account: Account) -> bool:
    webhooks = Webhook.objects.filter(account=account)
    return Event.objects.filter(webhook__in=webhooks, status_to="approved").exists()


def _is_listening(url: str) -> bool:
    """Return whether something accepts connections at a URL on this machine."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=0.2).close()
    except OSError:
        return False
    return True
