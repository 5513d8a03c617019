"""The notice of webhooks that are out of order, in a line on every page, until it is dismissed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest

from requests_queue.catalog.models import Account
from webhooks.models import Webhook

_KEY = "dismissed_alarms"
# Webhooks that are read: the line names the first and counts the others.
_LIMIT = 50


def current(request: HttpRequest, account: Account) -> Callable[[], list[Webhook]]:
    """Return a function that reads the webhooks to name, for the template to call.

    The webhook whose page is requested is left out, since the page itself says it.
    """
    match = request.resolver_match
    own = str(match.kwargs.get("pk", "")) if match else ""
    return partial(_undismissed, request, account, own)


def dismiss(request: HttpRequest, account: Account) -> None:
    """Hide the notice in this session until another webhook is out of order."""
    request.session[_KEY] = [_key(row) for row in _out_of_order(account)]


def _undismissed(request: HttpRequest, account: Account, own: str) -> list[Webhook]:
    rows = [row for row in _out_of_order(account) if row.pk != own]
    dismissed = request.session.get(_KEY, ())
    return [] if {_key(row) for row in rows} <= set(dismissed) else rows


def _out_of_order(account: Account) -> list[Webhook]:
    rows = Webhook.objects.filter(account=account, active=True, out_of_order=True)
    return list(rows.only("id", "label", "gate_closed_at").order_by("pk")[:_LIMIT])


def _key(row: Webhook) -> str:
    # With the time, so that a webhook that was recovered is named when it is out of order again.
    return f"{row.pk} {row.gate_closed_at}"
