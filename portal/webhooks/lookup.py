"""The webhooks of the viewer's account, and those that were deleted since their page was shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from portal.identity import Viewer
from requests_queue.errors import Missing
from webhooks import actions
from webhooks.models import Webhook

_BODIES = ("request_headers", "request_body", "claims", "response_headers", "response_body")


def own_webhooks(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the account's webhooks."""
    return Webhook.objects.filter(account=viewer.account)


def find(request: HttpRequest, viewer: Viewer, pk: str) -> Webhook:
    """Return a webhook with its last attempts, whose bodies are deferred.

    Raises Missing; a POST comes from a page of the webhook, so that it was deleted since.
    """
    rows = own_webhooks(viewer).select_related(
        "product", "created_by", "modified_by", "last_success", "last_failure"
    )
    last = (f"last_{end}__{name}" for end in ("success", "failure") for name in _BODIES)
    row = rows.defer(*last).filter(pk=pk).first()
    if row is None:
        if request.method == "POST":
            report_deleted(request, pk)
        raise Missing(pk)
    return row


def report_deleted(request: HttpRequest, pk: str) -> None:
    """Add a message for the next page: the webhook was deleted since its page was shown."""
    messages.error(request, f"Webhook {pk} does not exist. It may have been deleted.")


def save(request: HttpRequest, viewer: Viewer, row: Webhook, fields: Mapping[str, Any]) -> None:
    """Save validated fields; reports and raises Missing."""
    try:
        actions.edit(row.pk, viewer.user, fields)
    except Missing:
        report_deleted(request, row.pk)
        raise
