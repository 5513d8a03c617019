"""Views of webhooks, for users of their account: the list, the tabs of one, and its actions."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import DELETION
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.deliveries.attempt_view import AttemptView
from portal.identity import Viewer
from portal.paging import paged
from portal.webhooks import header_rows, listing, own_webhooks, webhook_statistics
from portal.webhooks.forms import EditForm
from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks import actions, types
from webhooks.actions import ACTIONS
from webhooks.delivery import next_attempt
from webhooks.delivery.request import is_short_secret, mask_secret
from webhooks.http.headers import masked
from webhooks.models import Webhook

_TABS = [
    ("webhook", "General"),
    ("webhook-statistics", "Statistics"),
    ("webhook-http", "HTTP settings"),
    ("webhook-data", "Custom data"),
]


@layout.signed_in("GET")
def webhooks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the account's webhooks."""
    own, query = own_webhooks.own(viewer), listing.parse(request.GET)
    page = paged(request, listing.rows(own, query))
    for row in page.rows:
        row.type_label = types.label(row.type, row.object_class)
    context = {
        "paged": page,
        "query": query,
        "columns": listing.columns(query.sort),
        **listing.choices(own, query),
    }
    return layout.render(request, viewer, "webhooks/list.html", context)


@layout.signed_in("GET")
def general(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab General."""
    return _tab(request, viewer, own_webhooks.find(viewer, pk), "webhook", "general.html")


@layout.signed_in("GET")
def statistics(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Statistics, or the part of it that htmx polls."""
    try:
        with own_webhooks.reporting_deleted(request, pk):
            row = own_webhooks.find(viewer, pk)
    except Missing:
        if not layout.is_htmx(request):
            raise
        response = pages.empty(200)
        response["HX-Redirect"] = reverse("webhooks")
        return response
    now, context = clock.now(), webhook_statistics.context(row)
    context |= {
        "next": next_attempt.of_webhook(row, now, pending=context["waiting"]), "now": now
    }  # fmt: skip
    if layout.is_htmx(request):
        return pages.render(request, "webhooks/live.html", {"row": row, "oob": True, **context})
    return _tab(request, viewer, row, "webhook-statistics", "statistics.html", context)


@layout.signed_in("GET")
def http(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab HTTP settings, with secret and header values masked."""
    row = own_webhooks.find(viewer, pk)
    context = {
        "mask": mask_secret(row.jwt_secret),
        "is_short": is_short_secret(row.jwt_secret),
        "headers": masked(row.headers).items(),
    }
    return _tab(request, viewer, row, "webhook-http", "http.html", context)


@layout.signed_in("GET")
def data(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Custom data."""
    row = own_webhooks.find(viewer, pk)
    text = json.dumps(row.data, indent=2, ensure_ascii=False) if row.data else ""
    return _tab(request, viewer, row, "webhook-data", "data.html", {"text": text})


@layout.signed_in("GET")
def response(request: HttpRequest, viewer: Viewer, pk: str, outcome: str) -> HttpResponse:
    """Show the response of the last success or failure in a dialog, or redirect to its page."""
    row = own_webhooks.find(viewer, pk)
    attempt = {"success": row.last_success, "failure": row.last_failure}.get(outcome)
    if attempt is None:
        raise Missing(outcome)
    if not layout.is_htmx(request):
        return pages.see_other(reverse("delivery", args=[attempt.delivery_id]))
    context = {"attempt": attempt, "one": AttemptView(attempt, clock.now(), as_sent=True)}
    return pages.render(request, "webhooks/response.html", context)


@layout.signed_in("GET", "POST")
def edit(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show or save the form of a webhook."""
    if request.method != "POST":
        row = own_webhooks.find(viewer, pk)
        return _edit(request, viewer, row, EditForm(row))
    with own_webhooks.reporting_deleted(request, pk):
        row = own_webhooks.find(viewer, pk)
        if request.POST.get("go") == "row":
            form = EditForm(row, header_rows.add(request.POST))
            form.hide_errors()
            return _edit(request, viewer, row, form)
        form = EditForm(row, request.POST)
        if not form.is_valid():
            return _edit(request, viewer, row, form)
        own_webhooks.edit(viewer, row, form.fields_to_save)
    messages.success(request, "Webhook saved")
    return pages.see_other(reverse("webhook", args=[pk]))


@layout.signed_in("GET", "POST")
def delete(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Ask for confirmation, or delete a webhook."""
    if request.method != "POST":
        row = own_webhooks.find(viewer, pk)
        context = {"row": row, "deleted": own_webhooks.deleted_with(row)}
        return layout.render(request, viewer, "webhooks/delete.html", context)
    with own_webhooks.reporting_deleted(request, pk):
        row = own_webhooks.find(viewer, pk)
    viewer.record(row, "", DELETION)
    actions.delete(row.pk)
    messages.success(request, f"Webhook {row.pk} deleted")
    return pages.see_other(reverse("webhooks"))


@layout.signed_in("POST")
def run_action(request: HttpRequest, viewer: Viewer, pk: str, name: str) -> HttpResponse:
    """Trigger, enable, disable or recover a webhook."""
    if name not in ACTIONS:
        raise Missing(name)
    with own_webhooks.reporting_deleted(request, pk):
        row = own_webhooks.find(viewer, pk)
    try:
        with own_webhooks.reporting_deleted(request, pk):
            message = ACTIONS[name].run(row, viewer.user)
    except Missing:
        pass
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, message)
        viewer.record(row, f"{ACTIONS[name].label}.")
    origin = pages.local_path(request.POST.get("next", ""))
    return pages.see_other(origin or reverse("webhook", args=[pk]))


@layout.signed_in("POST")
def reveal(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the secret and the header values in this response only, and record that."""
    with own_webhooks.reporting_deleted(request, pk):
        row = own_webhooks.find(viewer, pk)
    revealed = f"the JWT secret{' and the header values' if row.headers else ''}"
    viewer.record(row, f"Revealed {revealed}.")
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
    if request.method != "POST":
        row = own_webhooks.find(viewer, pk)
        return layout.render(request, viewer, "webhooks/secret_new.html", {"row": row})
    with own_webhooks.reporting_deleted(request, pk):
        row = own_webhooks.find(viewer, pk)
        secret = own_webhooks.renew_secret(viewer, row, request.POST.get("revision"))
    if secret is None:
        text = "The settings have changed in the meantime. The secret was not changed."
        messages.error(request, text)
        return pages.see_other(reverse("webhook-http", args=[pk]))
    context = {"row": row, "secret": secret, "is_new": True}
    return layout.render(request, viewer, "webhooks/secret.html", context)


def _tab(
    request: HttpRequest,
    viewer: Viewer,
    row: Webhook,
    current: str,
    template: str,
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    shared = {
        "row": row,
        "type_label": types.label(row.type, row.object_class),
        "tabs": [(reverse(name, args=[row.pk]), label, name == current) for name, label in _TABS],
    }
    return layout.render(request, viewer, f"webhooks/{template}", {**shared, **(context or {})})


def _edit(request: HttpRequest, viewer: Viewer, row: Webhook, form: EditForm) -> HttpResponse:
    context = {"row": row, "form": form, "type_label": types.label(row.type, row.object_class)}
    return layout.render(request, viewer, "webhooks/edit.html", context)
