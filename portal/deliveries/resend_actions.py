"""What the forms of a delivery do: send again, as it was or changed; and where that leads.

What is refused is said, on the page where it was asked for.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse

from portal.deliveries.forms import ChangesForm
from requests_queue.errors import Missing, Refused
from webhooks.delivery import resend
from webhooks.models import Attempt


def again(request: HttpRequest, attempt: Attempt) -> str:
    """Send again what the attempt sent; return the address of what came of it.

    Raises Missing where webhook or delivery have gone.
    """
    try:
        made = resend.create_resend(attempt)
    except Missing:
        raise
    except Refused as refused:
        return _refused(request, attempt, refused)
    messages.success(request, f"Sent again, as delivery {made.pk}: it is called at once.")
    return reverse("delivery", args=[made.pk])


def form(request: HttpRequest, attempt: Attempt) -> ChangesForm | str:
    """Return the form of changes, or an address where nobody knows what was sent."""
    try:
        return ChangesForm(attempt, resend.sent_request(attempt), request.POST or None)
    except Refused as refused:
        return _refused(request, attempt, refused)


def changed(request: HttpRequest, attempt: Attempt, filled: ChangesForm) -> str:
    """Send what a valid form says and return the delivery's address; empty where it is refused,
    which the form then says. Raises Missing where webhook or delivery have gone.
    """
    if not filled.is_valid():
        return ""
    try:
        made = resend.create_resend(attempt, filled.cleaned_data)
    except Missing:
        raise
    except Refused as refused:
        filled.add_error(None, str(refused))
        return ""
    messages.success(request, f"Sent with changes, as delivery {made.pk}: it is called at once.")
    return reverse("delivery", args=[made.pk])


def _refused(request: HttpRequest, attempt: Attempt, refused: Refused) -> str:
    messages.error(request, str(refused))
    return f"{reverse('delivery', args=[attempt.delivery_id])}?attempt={attempt.number}"
