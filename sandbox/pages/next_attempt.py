"""The next attempt of a delivery, to which a button of its page moves the clock.

For users of the webhook's account. All accounts share the clock, as in the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.deliveries import detail
from portal.identity import Viewer
from requests_queue import clock
from requests_queue.errors import Refused
from sandbox import clock_control, timeline
from sandbox.pages import clock_bar, move_summary
from webhooks import next_attempt
from webhooks.models import Delivery


def moments(account: str, keys: Sequence[int]) -> dict[int, str]:
    """Return the address that moves to the next attempt, for deliveries that wait for a moment."""
    now = clock.now()
    rows = Delivery.objects.filter(pk__in=keys, state=Delivery.WAITING).select_related("webhook")
    return {
        row.pk: reverse("delivery-advance", args=[row.pk])
        for row in rows
        if next_attempt.of_delivery(row, now).at
    }


@layout.signed_in("POST")
def advance(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Move the clock to the next attempt of a delivery and through it."""
    row = detail.find(viewer.account, pk)
    now, since = clock.now(), timeline.now()
    at = next_attempt.of_delivery(row, now).at
    try:
        result = clock_control.advance(at - now if at else timedelta())
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        clock_bar.keep(request, move_summary.of_move(result, since, viewer))
    return pages.see_other(reverse("delivery", args=[pk]))
