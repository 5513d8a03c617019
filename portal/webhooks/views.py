"""The views of webhooks: the list, the four tabs of one, its edit, and what is done to it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import layout, pages
from portal.identity import Reader
from portal.paging import paged
from portal.webhooks import (
    actions,
    header_rows,
    history,
    listing,
    lookups,
    responses,
    webhook_statistics,
)
from portal.webhooks.forms import EditForm
from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks import lifecycle, types
from webhooks.actions import DEEDS
from webhooks.delivery import next_attempt, tokens
from webhooks.http.headers import masked
from webhooks.models import Webhook

_FORM = require_http_methods(["GET", "HEAD", "POST"])
_TABS = [
    ("webhook", "General"),
    ("webhook-statistics", "Statistics"),
    ("webhook-http", "HTTP settings"),
    ("webhook-data", "Custom data"),
]


@require_safe
@layout.signed_in
def webhooks(request: HttpRequest, reader: Reader) -> HttpResponse:
    """List the account's webhooks, for its users."""
    own, wanted = lookups.own(reader), listing.asked(request.GET)
    found = paged(request, listing.rows(own, wanted))
    for row in found.rows:
        row.type_label = types.label(row.type, row.object_class)
    context = {
        "paged": found,
        "asked": wanted,
        "columns": listing.columns(wanted.sort),
        **listing.choices(own, wanted),
    }
    return layout.shown(request, reader, "webhooks/list.html", context)


@require_safe
@layout.signed_in
def general(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Show a webhook's General tab, to users of its account."""
    return _tab(request, reader, lookups.find(reader, pk), "webhook", "general.html")


@require_safe
@layout.signed_in
def statistics(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Show a webhook's statistics, to users of its account; for htmx the piece that changes."""
    try:
        row = lookups.find(reader, pk)
    except Missing:
        if not layout.is_piece(request):
            raise
        lookups.tell_gone(request, pk)
        answer = pages.page(request, "empty.html")
        answer["HX-Redirect"] = reverse("webhooks")
        return answer
    now, pending = clock.now(), webhook_statistics.pending(row)
    context = {
        "counters": webhook_statistics.counters(row),
        "next": next_attempt.of_webhook(row, now, pending=pending["waiting"]),
        "now": now,
        "cleared": webhook_statistics.recent_cleared_backoffs(row),
        "chart": webhook_statistics.chart(row),
        **pending,
    }
    if layout.is_piece(request):
        return pages.page(request, "webhooks/live.html", {"row": row, "oob": True, **context})
    return _tab(request, reader, row, "webhook-statistics", "statistics.html", context)


@require_safe
@layout.signed_in
def http(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Show how a webhook calls, its secret masked, to users of its account."""
    row = lookups.find(reader, pk)
    context = {
        "mask": tokens.mask(row.jwt_secret),
        "is_short": tokens.is_short(row.jwt_secret),
        "headers": masked(row.headers).items(),
    }
    return _tab(request, reader, row, "webhook-http", "http.html", context)


@require_safe
@layout.signed_in
def data(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Show what a webhook appends to its tokens, to users of its account."""
    row = lookups.find(reader, pk)
    context = {"text": responses.as_json(row.data)}
    return _tab(request, reader, row, "webhook-data", "data.html", context)


@require_safe
@layout.signed_in
def response(request: HttpRequest, reader: Reader, pk: str, outcome: str) -> HttpResponse:
    """Show the answer of the last success or failure, to users of the account."""
    row = lookups.find(reader, pk)
    found = {"success": row.last_success, "failure": row.last_failure}.get(outcome)
    if found is None:
        raise Missing(outcome)
    if not layout.is_piece(request):
        return pages.see_other(responses.delivery_address(found))
    return pages.page(request, "webhooks/response.html", responses.shown(found))


@_FORM
@layout.signed_in
def edit(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Show or save the form of a webhook, for users of its account."""
    if request.method != "POST":
        row = lookups.find(reader, pk)
        return _edit(request, reader, row, EditForm(row))
    row = lookups.find_to_change(request, reader, pk)
    if request.POST.get("go") == "row":
        form = EditForm(row, header_rows.add(request.POST))
        form.forget_errors()
        return _edit(request, reader, row, form)
    form = EditForm(row, request.POST)
    if not form.is_valid():
        return _edit(request, reader, row, form)
    actions.edit(request, reader, row, form.found)
    return pages.see_other(reverse("webhook", args=[pk]))


@_FORM
@layout.signed_in
def delete(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Ask whether to delete a webhook, or delete it, for users of its account."""
    if request.method != "POST":
        row = lookups.find(reader, pk)
        context = {"row": row, "lost": actions.lost(row)}
        return layout.shown(request, reader, "webhooks/delete.html", context)
    row = lookups.find_to_change(request, reader, pk)
    history.note(reader, row, "", history.DELETION)
    lifecycle.delete(row.pk)
    messages.success(request, f"{row} is deleted.")
    return pages.see_other(reverse("webhooks"))


@require_POST
@layout.signed_in
def do(request: HttpRequest, reader: Reader, pk: str, name: str) -> HttpResponse:
    """Trigger, enable, disable or recover a webhook, for users of its account."""
    if name not in DEEDS:
        raise Missing(name)
    row = lookups.find_to_change(request, reader, pk)
    try:
        said = DEEDS[name].do(row, reader.user)
    except Missing:
        lookups.tell_gone(request, pk)
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
        history.note(reader, row, f"{DEEDS[name].label}.")
    return pages.see_other(actions.back(request, row))


@require_POST
@layout.signed_in
def reveal(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Show a webhook's secret and header values in this one response, to users of its account; the
    history records it."""
    row = lookups.find_to_change(request, reader, pk)
    history.note(reader, row, _revealed(row))
    context = {
        "row": row,
        "secret": row.jwt_secret,
        "is_short": tokens.is_short(row.jwt_secret),
        "headers": row.headers.items(),
        "oob": layout.is_piece(request),
    }
    if layout.is_piece(request):
        return pages.page(request, "webhooks/secret_revealed.html", context)
    return layout.shown(request, reader, "webhooks/secret.html", context)


@_FORM
@layout.signed_in
def renew(request: HttpRequest, reader: Reader, pk: str) -> HttpResponse:
    """Ask whether to make a new secret, or make and show it, for users of the account."""
    if request.method != "POST":
        row = lookups.find(reader, pk)
        return layout.shown(request, reader, "webhooks/secret_new.html", {"row": row})
    row = lookups.find_to_change(request, reader, pk)
    secret = actions.renew_secret(request, reader, row)
    if secret is None:
        return pages.see_other(reverse("webhook-http", args=[pk]))
    context = {"row": row, "secret": secret, "is_new": True}
    return layout.shown(request, reader, "webhooks/secret.html", context)


def _tab(
    request: HttpRequest,
    reader: Reader,
    row: Webhook,
    here: str,
    template: str,
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    tabs = [(reverse(name, args=[row.pk]), label, name == here) for name, label in _TABS]
    found = {
        "row": row,
        "type_label": types.label(row.type, row.object_class),
        "tabs": tabs,
        **(context or {}),
    }
    return layout.shown(request, reader, f"webhooks/{template}", found)


def _edit(request: HttpRequest, reader: Reader, row: Webhook, form: EditForm) -> HttpResponse:
    context = {"row": row, "form": form, "type_label": types.label(row.type, row.object_class)}
    return layout.shown(request, reader, "webhooks/edit.html", context)


def _revealed(row: Webhook) -> str:
    return f"Revealed the JWT secret{' and the header values' if row.headers else ''}."
