"""The views of webhooks: the list, the four tabs of one, its edit, and what is done to it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import layout, pages
from portal.identity import Viewer
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
from webhooks import actions as webhook_actions
from webhooks import types
from webhooks.actions import ACTIONS
from webhooks.delivery import next_attempt
from webhooks.delivery.request import is_short_secret, mask_secret
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
def webhooks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the account's webhooks, for its users."""
    own, wanted = lookups.own(viewer), listing.asked(request.GET)
    found = paged(request, listing.rows(own, wanted))
    for row in found.rows:
        row.type_label = types.label(row.type, row.object_class)
    context = {
        "paged": found,
        "asked": wanted,
        "columns": listing.columns(wanted.sort),
        **listing.choices(own, wanted),
    }
    return layout.render(request, viewer, "webhooks/list.html", context)


@require_safe
@layout.signed_in
def general(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a webhook's General tab, to users of its account."""
    return _tab(request, viewer, lookups.find(viewer, pk), "webhook", "general.html")


@require_safe
@layout.signed_in
def statistics(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a webhook's statistics, to users of its account; for htmx the piece that changes."""
    try:
        row = lookups.find(viewer, pk)
    except Missing:
        if not layout.is_htmx(request):
            raise
        lookups.tell_gone(request, pk)
        answer = pages.empty(200)
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
    if layout.is_htmx(request):
        return pages.render(request, "webhooks/live.html", {"row": row, "oob": True, **context})
    return _tab(request, viewer, row, "webhook-statistics", "statistics.html", context)


@require_safe
@layout.signed_in
def http(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show how a webhook calls, its secret masked, to users of its account."""
    row = lookups.find(viewer, pk)
    context = {
        "mask": mask_secret(row.jwt_secret),
        "is_short": is_short_secret(row.jwt_secret),
        "headers": masked(row.headers).items(),
    }
    return _tab(request, viewer, row, "webhook-http", "http.html", context)


@require_safe
@layout.signed_in
def data(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show what a webhook appends to its tokens, to users of its account."""
    row = lookups.find(viewer, pk)
    context = {"text": responses.as_json(row.data)}
    return _tab(request, viewer, row, "webhook-data", "data.html", context)


@require_safe
@layout.signed_in
def response(request: HttpRequest, viewer: Viewer, pk: str, outcome: str) -> HttpResponse:
    """Show the answer of the last success or failure, to users of the account."""
    row = lookups.find(viewer, pk)
    found = {"success": row.last_success, "failure": row.last_failure}.get(outcome)
    if found is None:
        raise Missing(outcome)
    if not layout.is_htmx(request):
        return pages.see_other(responses.delivery_address(found))
    return pages.render(request, "webhooks/response.html", responses.shown(found))


@_FORM
@layout.signed_in
def edit(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show or save the form of a webhook, for users of its account."""
    if request.method != "POST":
        row = lookups.find(viewer, pk)
        return _edit(request, viewer, row, EditForm(row))
    row = lookups.find_to_change(request, viewer, pk)
    if request.POST.get("go") == "row":
        form = EditForm(row, header_rows.add(request.POST))
        form.forget_errors()
        return _edit(request, viewer, row, form)
    form = EditForm(row, request.POST)
    if not form.is_valid():
        return _edit(request, viewer, row, form)
    actions.edit(request, viewer, row, form.found)
    return pages.see_other(reverse("webhook", args=[pk]))


@_FORM
@layout.signed_in
def delete(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Ask whether to delete a webhook, or delete it, for users of its account."""
    if request.method != "POST":
        row = lookups.find(viewer, pk)
        context = {"row": row, "lost": actions.lost(row)}
        return layout.render(request, viewer, "webhooks/delete.html", context)
    row = lookups.find_to_change(request, viewer, pk)
    history.note(viewer, row, "", history.DELETION)
    webhook_actions.delete(row.pk)
    messages.success(request, f"{row} is deleted.")
    return pages.see_other(reverse("webhooks"))


@require_POST
@layout.signed_in
def run_action(request: HttpRequest, viewer: Viewer, pk: str, name: str) -> HttpResponse:
    """Trigger, enable, disable or recover a webhook, for users of its account."""
    if name not in ACTIONS:
        raise Missing(name)
    row = lookups.find_to_change(request, viewer, pk)
    try:
        said = ACTIONS[name].run(row, viewer.user)
    except Missing:
        lookups.tell_gone(request, pk)
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
        history.note(viewer, row, f"{ACTIONS[name].label}.")
    return pages.see_other(actions.back(request, row))


@require_POST
@layout.signed_in
def reveal(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a webhook's secret and header values in this one response, to users of its account; the
    history records it."""
    row = lookups.find_to_change(request, viewer, pk)
    history.note(viewer, row, _revealed(row))
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


@_FORM
@layout.signed_in
def renew(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Ask whether to make a new secret, or make and show it, for users of the account."""
    if request.method != "POST":
        row = lookups.find(viewer, pk)
        return layout.render(request, viewer, "webhooks/secret_new.html", {"row": row})
    row = lookups.find_to_change(request, viewer, pk)
    secret = actions.renew_secret(request, viewer, row)
    if secret is None:
        return pages.see_other(reverse("webhook-http", args=[pk]))
    context = {"row": row, "secret": secret, "is_new": True}
    return layout.render(request, viewer, "webhooks/secret.html", context)


def _tab(
    request: HttpRequest,
    viewer: Viewer,
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
    return layout.render(request, viewer, f"webhooks/{template}", found)


def _edit(request: HttpRequest, viewer: Viewer, row: Webhook, form: EditForm) -> HttpResponse:
    context = {"row": row, "form": form, "type_label": types.label(row.type, row.object_class)}
    return layout.render(request, viewer, "webhooks/edit.html", context)


def _revealed(row: Webhook) -> str:
    return f"Revealed the JWT secret{' and the header values' if row.headers else ''}."
