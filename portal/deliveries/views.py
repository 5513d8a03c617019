"""Views of deliveries: the log, one delivery, and resending. All are for users of the account."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from portal import layout, pages
from portal.deliveries import bulk, commands, detail, queries, search
from portal.deliveries import export as exports
from portal.deliveries import log as logs
from portal.deliveries.attempt_view import AttemptView
from portal.deliveries.changes_form import ChangesForm, send_changed
from portal.deliveries.detail import DeliveryView
from portal.deliveries.search import SearchError
from portal.header_rows import with_empty_row
from portal.identity import Viewer
from requests_queue import clock
from requests_queue.catalog import audit
from requests_queue.errors import Missing, Refused
from webhooks.delivery import resend
from webhooks.models import Attempt


@layout.signed_in("GET")
def deliveries(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the log of the account's webhooks."""
    return render_log(request, viewer, "deliveries/log.html")


def render_log(
    request: HttpRequest,
    viewer: Viewer,
    template: str,
    context: Mapping[str, Any] | None = None,
    webhook: str = "",
) -> HttpResponse:
    """Return a page with the log of the account's deliveries, or what htmx polls of it.

    A page that has the log as one of its parts, such as a tab of a webhook, returns

        render_log(request, viewer, "webhooks/deliveries.html", {"row": row}, webhook=row.pk)

    and its template has `{% include "portal/deliveries/log_parts.html" %}` where the log belongs,
    and the script `portal/deliveries.js`. All links of the log are queries (`?q=…`) of the page's
    own URL. `webhook` is the id of a webhook that the viewer may see: the caller checks that.
    """
    log = logs.read(request.GET, viewer.account, webhook)
    if layout.is_unchanged(request, log.digest):
        return pages.empty()
    if layout.is_htmx(request):
        return layout.render(request, viewer, "deliveries/rows.html", {"log": log})
    job = bulk.latest(viewer.account, request.GET.get("sent", ""))
    more = {"log": log, "job": job, "bulk_key": uuid.uuid4()}
    return layout.render(request, viewer, template, {**(context or {}), **more})


@layout.signed_in("GET")
def export(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponseBase:
    """Return the deliveries that match a search as a file; 404 for an unknown format."""
    if name not in exports.FORMATS:
        raise Http404
    write, content_type, extension = exports.FORMATS[name]
    try:
        terms = search.parse(request.GET.get("q", ""), clock.now())
    except SearchError as error:
        return pages.error(request, 400, str(error))
    rows = queries.deliveries(viewer.account, terms, request.GET.get("webhook", ""))
    return pages.download(write(rows), content_type, f"deliveries.{extension}")


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
def send_again(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    attempt = detail.find_attempt(viewer.account, pk, request.POST)
    try:
        created = resend.create_resend(attempt)
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
    adds_header = request.POST.get("go") == "row"
    data = with_empty_row(request.POST) if adds_header else request.POST
    try:
        form = ChangesForm(attempt, resend.sent_request(attempt), data if is_post else None)
    except Refused as refused:
        return _refused(request, attempt, refused)
    if adds_header:
        form.hide_errors()
    elif form.is_valid():
        try:
            created = send_changed(attempt, form.cleaned_data)
        except Missing:
            raise
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, f"Sent with changes as delivery {created.pk}.")
            return pages.see_other(reverse("delivery", args=[created.pk]))
    context = {"form": form, "attempt": attempt}
    status = 400 if form.is_bound and not adds_header else 200
    return layout.render(request, viewer, "deliveries/change.html", context, status)


@layout.signed_in("POST")
def headers(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show the values of a request's headers in this response only, and record that."""
    attempt = detail.find_attempt(viewer.account, pk, request.POST)
    viewer.record(attempt.webhook, f"Revealed the header values of delivery {pk}.")
    _record_reveal(viewer, attempt, "headers")
    context = {"attempt": attempt, "one": AttemptView(attempt, clock.now(), reveals_headers=True)}
    template = "request_headers" if layout.is_htmx(request) else "revealed"
    return layout.render(request, viewer, f"deliveries/{template}.html", context)


@layout.signed_in("POST")
def as_command(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show an attempt as a command with a new token: `as` is curl by default."""
    attempt = detail.find_attempt(viewer.account, pk, request.POST)
    command = commands.COMMANDS.get(request.POST.get("as", "curl"))
    if command is None:
        raise Http404
    context: dict[str, object] = {"attempt": attempt, "command": command}
    try:
        context["text"] = commands.of_attempt(attempt, command)
        _record_reveal(viewer, attempt, "headers", "token")
    except Missing:
        raise
    except Refused as refused:
        context["refused"] = str(refused)
    template = "command" if layout.is_htmx(request) else "command_page"
    return layout.render(request, viewer, f"deliveries/{template}.html", context)


def _record_reveal(viewer: Viewer, attempt: Attempt, *fields: str) -> None:
    audit.record(
        audit.Action.DELIVERY_REVEAL,
        "delivery",
        attempt.delivery_id,
        account=viewer.account.pk,
        fields=fields,
    )


def _refused(request: HttpRequest, attempt: Attempt, refused: Refused) -> HttpResponse:
    messages.error(request, str(refused))
    address = reverse("delivery", args=[attempt.delivery_id])
    return pages.see_other(f"{address}?attempt={attempt.number}")
