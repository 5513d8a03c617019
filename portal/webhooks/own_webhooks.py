"""Webhooks of the viewer's account: lookups and changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from portal.identity import Viewer
from requests_queue.errors import Missing
from webhooks import actions
from webhooks.delivery.request import new_secret
from webhooks.models import Attempt, Delivery, Event, Webhook

_LABELS = {field.name: str(field.verbose_name) for field in Webhook._meta.fields}
_BODIES = ("request_headers", "request_body", "claims", "response_headers", "response_body")


def own(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the account's webhooks."""
    return Webhook.objects.filter(account=viewer.account)


def find(viewer: Viewer, pk: str) -> Webhook:
    """Return a webhook with its last attempts, whose bodies are deferred; raises Missing."""
    rows = own(viewer).select_related(
        "product", "created_by", "modified_by", "last_success", "last_failure"
    )
    last = (f"last_{end}__{name}" for end in ("success", "failure") for name in _BODIES)
    row = rows.defer(*last).filter(pk=pk).first()
    if row is None:
        raise Missing(pk)
    return row


@contextmanager
def reporting_deleted(request: HttpRequest, pk: str) -> Iterator[None]:
    """Add a message for the next page if the webhook was deleted since its page was shown."""
    try:
        yield
    except Missing:
        messages.error(request, f"Webhook {pk} does not exist. It may have been deleted.")
        raise


def edit(viewer: Viewer, row: Webhook, fields: Mapping[str, Any]) -> None:
    """Save validated fields; raises Missing."""
    changed = [_LABELS[name] for name, value in fields.items() if getattr(row, name) != value]
    actions.edit(row.pk, viewer.user, fields)
    if changed:
        viewer.record(row, f"Changed {', '.join(changed)}.")


def renew_secret(viewer: Viewer, row: Webhook, revision: str | None) -> str | None:
    """Set a new secret and return it; None if the revision of the settings is no longer current.

    Reloading the page sends its form again, which must not set another secret. Raises Missing.
    """
    secret = new_secret()
    with transaction.atomic():
        # Locked: of two concurrent requests one changes the revision that the other one has.
        current = Webhook.objects.select_for_update().filter(pk=row.pk)
        if any(str(each) != revision for each in current.values_list("revision", flat=True)):
            return None
        actions.edit(row.pk, viewer.user, {"jwt_secret": secret})
    viewer.record(row, "Created a new JWT secret.")
    return secret


def deleted_with(row: Webhook) -> list[tuple[str, int]]:
    """Return what is deleted with a webhook, counted."""
    return [
        (name, model._default_manager.filter(webhook=row).count())
        for name, model in (("deliveries", Delivery), ("attempts", Attempt), ("events", Event))
    ]
