"""Views of deliveries: the log, one delivery, and resending. All are for users of the account."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.deliveries import detail
from portal.deliveries import log as logs
from portal.deliveries.attempt_view import AttemptView
from portal.deliveries.detail import DeliveryView
from portal.deliveries.resend import ChangesForm, curl
from portal.identity import Viewer
from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks.delivery import resend as resending
from webhooks.models import Attempt


@layout.signed_in("GET")
def deliveries(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the log of the account's webhooks."""
    log = logs.read(request.GET, viewer.account)
    if layout.is_htmx(request) and layout.is_unchanged(request, log.digest):
        return pages.empty()
    template = "rows" if layout.is_htmx(request) else "log"
    return layout.render(request, viewer, f"deliveries/{template}.html", {"log": log})


@layout.signed_in("GET")
def delivery(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show a delivery of the account's webhooks."""
    now = clock.now()
    shown = DeliveryView(detail.find(viewer.account, pk), request.GET, now)
    if layout.is_htmx(request) and layout.is_unchanged(request, shown.digest):
        return pages.empty()
    as_sent, full = (bool(request.GET.get(name)) for name in ("raw", "full"))
    one = shown.attempt and AttemptView(shown.attempt, now, as_sent, full)
    template = "content" if layout.is_htmx(request) else "delivery"
    context = {"shown": shown, "one": one}
    return layout.render(request, viewer, f"deliveries/{template}.html", context)


@layout.signed_in("POST")
def resend(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Send an attempt again."""
    attempt = detail.find_attempt(viewer.account, pk, request.POST)
    try:
        created = resending.create_resend(attempt)
    except Missing:
        raise
    except Refused as refused:
        return _refused(request, attempt, refused)
    messages.success(request, f"Sent again as delivery {created.pk}.")
    return pages.see_other(reverse("delivery", args=[created.pk]))


@layout.signed_in("GET", "POST")
def change(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show the form for changes, or send an attempt again with them."""
    is_post = request.method == "POST"
    attempt = detail.find_attempt(viewer.account, pk, request.POST if is_post else request.GET)
    try:
        form = ChangesForm(attempt, resending.sent_request(attempt), request.POST or None)
    except Refused as refused:
        return _refused(request, attempt, refused)
    if form.is_valid():
        try:
            created = resending.create_resend(attempt, form.cleaned_data)
        except Missing:
            raise
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, f"Sent with changes as delivery {created.pk}.")
            return pages.see_other(reverse("delivery", args=[created.pk]))
    context = {"form": form, "attempt": attempt}
    status = 400 if form.is_bound else 200
    return layout.render(request, viewer, "deliveries/change.html", context, status)


@layout.signed_in("POST")
def headers(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show the values of a request's headers in this response only, and record that."""
    attempt = detail.find_attempt(viewer.account, pk, request.POST)
    viewer.record(attempt.webhook, f"Revealed the header values of delivery {pk}.")
    context = {
        "attempt": attempt, "one": AttemptView(attempt, clock.now(), reveals_headers=True)
    }  # fmt: skip
    template = "request_headers" if layout.is_htmx(request) else "revealed"
    return layout.render(request, viewer, f"deliveries/{template}.html", context)


@layout.signed_in("POST")
def as_curl(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show an attempt as a curl command with a new token."""
    attempt = detail.find_attempt(viewer.account, pk, request.POST)
    context: dict[str, object] = {"attempt": attempt}
    try:
        context["command"] = curl(attempt)
    except Refused as refused:
        context["refused"] = str(refused)
    template = "command" if layout.is_htmx(request) else "curl"
    return layout.render(request, viewer, f"deliveries/{template}.html", context)


def _refused(request: HttpRequest, attempt: Attempt, refused: Refused) -> HttpResponse:
    messages.error(request, str(refused))
    address = reverse("delivery", args=[attempt.delivery_id])
    return pages.see_other(f"{address}?attempt={attempt.number}")
