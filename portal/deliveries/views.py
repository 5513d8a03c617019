"""The views of deliveries: the live log, one delivery, and sending it again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import layout, pages
from portal.deliveries import curl, detail, resend_actions
from portal.deliveries import log as logs
from portal.deliveries.attempt_view import Exchange
from portal.deliveries.detail import Shown
from portal.identity import Reader
from portal.webhooks import history
from requests_queue import clock


@require_safe
@layout.signed_in
def deliveries(request: HttpRequest, reader: Reader) -> HttpResponse:
    """Show the log of the account's webhooks, to its users; 204 for who has seen just this."""
    log = logs.read(request.GET, reader.account)
    if layout.is_piece(request) and log.is_unchanged:
        return pages.page(request, "empty.html", status=204)
    piece = "rows" if layout.is_piece(request) else "log"
    return layout.shown(request, reader, f"deliveries/{piece}.html", {"log": log})


@require_safe
@layout.signed_in
def delivery(request: HttpRequest, reader: Reader, pk: int) -> HttpResponse:
    """Show a delivery of the account's webhooks, to its users; 204 for who has seen just this."""
    now = clock.now()
    shown = Shown(detail.find(reader.account, pk), request.GET, now)
    if layout.is_piece(request) and shown.is_unchanged:
        return pages.page(request, "empty.html", status=204)
    raw, whole = (bool(request.GET.get(name)) for name in ("raw", "whole"))
    one = shown.attempt and Exchange(shown.attempt, now, raw, whole)
    piece = "whole" if layout.is_piece(request) else "delivery"
    context = {"shown": shown, "one": one}
    return layout.shown(request, reader, f"deliveries/{piece}.html", context)


@require_POST
@layout.signed_in
def again(request: HttpRequest, reader: Reader, pk: int) -> HttpResponse:
    """Send again what an attempt sent, for users of the webhook's account."""
    attempt = detail.attempt(reader.account, pk, request.POST.get("attempt", ""))
    return pages.see_other(resend_actions.again(request, attempt))


@require_http_methods(["GET", "HEAD", "POST"])
@layout.signed_in
def change(request: HttpRequest, reader: Reader, pk: int) -> HttpResponse:
    """Send again with changes, for users of the webhook's account; a POST sends."""
    given = request.POST if request.method == "POST" else request.GET
    attempt = detail.attempt(reader.account, pk, given.get("attempt", ""))
    form = resend_actions.form(request, attempt)
    if isinstance(form, str):
        return pages.see_other(form)
    if address := resend_actions.changed(request, attempt, form):
        return pages.see_other(address)
    context = {"form": form, "attempt": attempt}
    status = 400 if form.is_bound else 200
    return layout.shown(request, reader, "deliveries/change.html", context, status)


@require_POST
@layout.signed_in
def headers(request: HttpRequest, reader: Reader, pk: int) -> HttpResponse:
    """Show the values of a request's headers in this one response, to users of the webhook's
    account; the history of the webhook records it."""
    attempt = detail.attempt(reader.account, pk, request.POST.get("attempt", ""))
    history.note(reader, attempt.webhook, f"Revealed the header values of delivery {pk}.")
    context = {"attempt": attempt, "one": Exchange(attempt, clock.now(), revealed=True)}
    piece = "request_headers" if layout.is_piece(request) else "revealed"
    return layout.shown(request, reader, f"deliveries/{piece}.html", context)


@require_POST
@layout.signed_in
def as_curl(request: HttpRequest, reader: Reader, pk: int) -> HttpResponse:
    """Show a call as a command with a fresh token, to users of the webhook's account."""
    attempt = detail.attempt(reader.account, pk, request.POST.get("attempt", ""))
    context = {"attempt": attempt, **curl.told(attempt)}
    piece = "command" if layout.is_piece(request) else "curl"
    return layout.shown(request, reader, f"deliveries/{piece}.html", context)
