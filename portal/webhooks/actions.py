"""What the pages do to a webhook, each with a sentence for the page that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from portal import pages
from portal.identity import Viewer
from portal.webhooks import history, lookups
from requests_queue.errors import Missing
from webhooks import actions
from webhooks.delivery.request import new_secret
from webhooks.models import Attempt, Delivery, Event, Webhook

_LABELS = {field.name: str(field.verbose_name) for field in Webhook._meta.fields}


def edit(request: HttpRequest, viewer: Viewer, row: Webhook, found: Mapping[str, Any]) -> None:
    """Save checked fields; raises Missing where the webhook was deleted meanwhile."""
    changed = [name for name, value in found.items() if getattr(row, name) != value]
    try:
        actions.edit(row.pk, viewer.user, found)
    except Missing:
        lookups.tell_gone(request, row.pk)
        raise
    if changed:
        labels = [_LABELS[name] for name in changed]
        history.note(viewer, row, f"Changed {', '.join(labels)}.")
    messages.success(request, f"{found['label']} ({row.pk}) is saved.")


def renew_secret(request: HttpRequest, viewer: Viewer, row: Webhook) -> str | None:
    """Give the webhook a new secret and return it; None where its settings have changed since.

    A page that is loaded again sends its form again: that must not make another secret.
    Raises Missing where the webhook was deleted meanwhile.
    """
    secret = new_secret()
    try:
        kept = not _put_secret(request, viewer, row, secret)
    except Missing:
        lookups.tell_gone(request, row.pk)
        raise
    if kept:
        messages.error(
            request, "The settings have changed since you were asked, so the secret was kept."
        )
        return None
    history.note(viewer, row, "Made a new JWT secret.")
    return secret


@transaction.atomic
def _put_secret(request: HttpRequest, viewer: Viewer, row: Webhook, secret: str) -> bool:
    """Write the secret, unless the settings have changed: of two that ask at once one writes."""
    held = Webhook.objects.select_for_update().filter(pk=row.pk).values_list("revision", flat=True)
    if any(str(revision) != request.POST.get("revision") for revision in held):
        return False
    actions.edit(row.pk, viewer.user, {"jwt_secret": secret})
    return True


def lost(row: Webhook) -> list[tuple[str, int]]:
    """Return what goes with a webhook that is deleted, counted."""
    return [
        (name, model._default_manager.filter(webhook=row).count())
        for name, model in (("deliveries", Delivery), ("attempts", Attempt), ("events", Event))
    ]


def back(request: HttpRequest, row: Webhook) -> str:
    """Return the page that a button was pressed on; the webhook's where it isn't told."""
    return pages.local_path(request.POST.get("next", "")) or reverse("webhook", args=[row.pk])
