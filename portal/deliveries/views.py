"""The views of deliveries: the live log, one delivery, and sending it again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import layout, pages
from portal.deliveries import curl, detail, resend_actions
from portal.deliveries import log as logs
from portal.deliveries.attempt_view import AttemptView
from portal.deliveries.detail import DeliveryView
from portal.identity import Viewer
from portal.webhooks import history
from requests_queue import clock


@require_safe
@layout.signed_in
def deliveries(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the log of the account's webhooks, to its users; 204 for who has seen just this."""
    log = logs.read(request.GET, viewer.account)
    if layout.is_htmx(request) and log.is_unchanged:
        return pages.empty()
    piece = "rows" if layout.is_htmx(request) else "log"
    return layout.render(request, viewer, f"deliveries/{piece}.html", {"log": log})


@require_safe
@layout.signed_in
def delivery(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show a delivery of the account's webhooks, to its users; 204 for who has seen just this."""
    now = clock.now()
    shown = DeliveryView(detail.find(viewer.account, pk), request.GET, now)
    if layout.is_htmx(request) and shown.is_unchanged:
        return pages.empty()
    raw, whole = (bool(request.GET.get(name)) for name in ("raw", "whole"))
    one = shown.attempt and AttemptView(shown.attempt, now, raw, whole)
    piece = "whole" if layout.is_htmx(request) else "delivery"
    context = {"shown": shown, "one": one}
    return layout.render(request, viewer, f"deliveries/{piece}.html", context)


@require_POST
@layout.signed_in
def resend(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Send again what an attempt sent, for users of the webhook's account."""
    attempt = detail.attempt(viewer.account, pk, request.POST.get("attempt", ""))
    return pages.see_other(resend_actions.again(request, attempt))


@require_http_methods(["GET", "HEAD", "POST"])
@layout.signed_in
def change(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Send again with changes, for users of the webhook's account; a POST sends."""
    given = request.POST if request.method == "POST" else request.GET
    attempt = detail.attempt(viewer.account, pk, given.get("attempt", ""))
    form = resend_actions.form(request, attempt)
    if isinstance(form, str):
        return pages.see_other(form)
    if address := resend_actions.changed(request, attempt, form):
        return pages.see_other(address)
    context = {"form": form, "attempt": attempt}
    status = 400 if form.is_bound else 200
    return layout.render(request, viewer, "deliveries/change.html", context, status)


@require_POST
@layout.signed_in
def headers(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show the values of a request's headers in this one response, to users of the webhook's
    account; the history of the webhook records it."""
    attempt = detail.attempt(viewer.account, pk, request.POST.get("attempt", ""))
    history.note(viewer, attempt.webhook, f"Revealed the header values of delivery {pk}.")
    context = {"attempt": attempt, "one": AttemptView(attempt, clock.now(), revealed=True)}
    piece = "request_headers" if layout.is_htmx(request) else "revealed"
    return layout.render(request, viewer, f"deliveries/{piece}.html", context)


@require_POST
@layout.signed_in
def as_curl(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show a call as a command with a fresh token, to users of the webhook's account."""
    attempt = detail.attempt(viewer.account, pk, request.POST.get("attempt", ""))
    context = {"attempt": attempt, **curl.told(attempt)}
    piece = "command" if layout.is_htmx(request) else "curl"
    return layout.render(request, viewer, f"deliveries/{piece}.html", context)
