"""The webhooks of the account that is acted as: nobody sees or changes another's."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from portal.identity import Viewer
from requests_queue.errors import Missing
from webhooks.models import Webhook

_BODIES = ("request_headers", "request_body", "claims", "response_headers", "response_body")


def own(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the account's webhooks."""
    return Webhook.objects.filter(account=viewer.account)


def find(viewer: Viewer, pk: str) -> Webhook:
    """Return a webhook, with its last calls but not what they carried; raises Missing."""
    rows = own(viewer).select_related(
        "product", "created_by", "modified_by", "last_success", "last_failure"
    )
    last = (f"last_{end}__{name}" for end in ("success", "failure") for name in _BODIES)
    found = rows.defer(*last).filter(pk=pk).first()
    if found is None:
        raise Missing(pk)
    return found


def find_to_change(request: HttpRequest, viewer: Viewer, pk: str) -> Webhook:
    """Return a webhook as `find` does; where it is gone since its page was shown, say so."""
    try:
        return find(viewer, pk)
    except Missing:
        tell_gone(request, pk)
        raise


def tell_gone(request: HttpRequest, pk: str) -> None:
    """Leave a sentence on the next page about a webhook that isn't there."""
    messages.error(request, f"{pk} is not there: it may have been deleted meanwhile.")
