"""Views of a webhook's secret: reveal it, and set a new one."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from portal.webhooks.lookup import find, save
from webhooks import actions
from webhooks.delivery.request import is_short_secret, new_secret
from webhooks.models import Webhook


@layout.signed_in("POST")
def reveal(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the secret and the header values in this response only, and record that."""
    row = find(request, viewer, pk)
    revealed = f"the JWT secret{' and the header values' if row.headers else ''}"
    viewer.record(row, f"Revealed {revealed}.")
    actions.reveal(row, viewer.user)
    context = {
        "row": row,
        "secret": row.jwt_secret,
        "is_short": is_short_secret(row.jwt_secret),
        "headers": row.headers.items(),
        "oob": layout.is_htmx(request),
    }
    if layout.is_htmx(request):
        return pages.render(request, "webhooks/secret_revealed.html", context)
    return layout.render(request, viewer, "webhooks/secret.html", context)


@layout.signed_in("GET", "POST")
def renew(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Ask for confirmation, or set a new secret and show it."""
    row = find(request, viewer, pk)
    if request.method != "POST":
        return layout.render(request, viewer, "webhooks/secret_new.html", {"row": row})
    secret = _renew_secret(request, viewer, row)
    if secret is None:
        text = "The settings have changed in the meantime. The secret was not changed."
        messages.error(request, text)
        return pages.see_other(reverse("webhook-http", args=[pk]))
    context = {"row": row, "secret": secret, "is_new": True}
    return layout.render(request, viewer, "webhooks/secret.html", context)


def _renew_secret(request: HttpRequest, viewer: Viewer, row: Webhook) -> str | None:
    """Set a new secret and return it; None if the form's revision of the settings is not current.

    Reloading the page sends its form again, which must not set another secret. Raises Missing.
    """
    secret = new_secret()
    with transaction.atomic():
        # Locked: of two concurrent requests one changes the revision that the other one has.
        current = Webhook.objects.select_for_update().filter(pk=row.pk)
        revisions = current.values_list("revision", flat=True)
        if any(str(each) != request.POST.get("revision") for each in revisions):
            return None
        save(request, viewer, row, {"jwt_secret": secret})
    viewer.record(row, "Created a new JWT secret.")
    return secret
