"""Views of webhooks, for users of their account: the list, the tabs of one, and its actions."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import DELETION
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from portal import layout, pages, panels
from portal.deliveries.attempt_view import AttemptView
from portal.deliveries.views import render_log
from portal.header_rows import with_empty_row
from portal.identity import Viewer
from portal.paging import paged, with_values
from portal.webhooks import health, listing, webhook_statistics
from portal.webhooks.forms import EditForm
from portal.webhooks.lookup import find, own_webhooks, report_deleted, save
from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks import actions, next_attempt, types
from webhooks.actions import ACTIONS
from webhooks.delivery.request import is_short_secret, mask_secret
from webhooks.http.headers import masked
from webhooks.models import Attempt, Delivery, Event, Webhook

_TABS = [
    ("webhook", "General"),
    ("webhook-deliveries", "Deliveries"),
    ("webhook-statistics", "Statistics"),
    ("webhook-http", "HTTP settings"),
    ("webhook-data", "Custom data"),
]
_LABELS = {field.name: str(field.verbose_name) for field in Webhook._meta.fields}


@layout.signed_in("GET")
def webhooks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the account's webhooks, or return the table, which htmx polls."""
    values = request.GET.copy()
    seen = values.pop("seen", [""])[0]
    # The links of a polled part have the queries of the page.
    request.GET = values  # type: ignore[assignment]
    own, query, now = own_webhooks(viewer), listing.parse(values), clock.now()
    page = paged(request, listing.rows(own, query, now))
    for row in page.rows:
        row.type_label = types.label(row.type, row.object_class)
        row.last_response = listing.last_response(row)
    digest = layout.digest([_shown(row, now) for row in page.rows], page.page.paginator.count)
    if layout.is_htmx(request) and seen == digest:
        return pages.empty()
    context = {
        "paged": page,
        "query": query,
        "columns": listing.columns(query.sort),
        "poll": with_values(values, seen=digest),
    }
    if layout.is_htmx(request):
        return layout.render(request, viewer, "webhooks/rows.html", context)
    context |= listing.choices(own, query)
    return layout.render(request, viewer, "webhooks/list.html", context)


@layout.signed_in("GET")
def general(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab General."""
    return _tab(request, viewer, find(request, viewer, pk), "webhook", "general.html")


@layout.signed_in("GET")
def health_line(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Return the health line, which htmx polls; without scripts, redirect to the webhook."""
    if not layout.is_htmx(request):
        return pages.see_other(reverse("webhook", args=[find(request, viewer, pk).pk]))
    try:
        row = find(request, viewer, pk)
    except Missing:
        report_deleted(request, pk)
        response = pages.empty(200)
        response["HX-Redirect"] = reverse("webhooks")
        return response
    line = health.read(row, viewer.account, clock.now())
    if layout.is_unchanged(request, line["digest"]):
        return pages.empty()
    return layout.render(request, viewer, "webhooks/health.html", {"health": line})


def _find_unless_deleted(request: HttpRequest, viewer: Viewer, pk: str) -> Webhook | None:
    """Return the webhook, None if a part of its page is requested after it was deleted.

    The health line leads to the list then; two redirects would lose the message.
    """
    try:
        return find(request, viewer, pk)
    except Missing:
        if layout.is_htmx(request):
            return None
        raise


@layout.signed_in("GET")
def deliveries(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Deliveries: the log of this webhook."""
    row = _find_unless_deleted(request, viewer, pk)
    if row is None:
        return pages.empty()
    context = {} if layout.is_htmx(request) else _shared(viewer, row, "webhook-deliveries")
    return render_log(request, viewer, "webhooks/deliveries.html", context, webhook=pk)


@layout.signed_in("GET")
def statistics(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Statistics, or the part of it that htmx polls."""
    row = _find_unless_deleted(request, viewer, pk)
    if row is None:
        return pages.empty()
    now = clock.now()
    context = webhook_statistics.context(row) | {
        "now": now,
        "health": health.read(row, viewer.account, now),
        "panels": panels.fill(panels.WEBHOOK, viewer.account.pk, [pk]),
        "bulk_key": uuid.uuid4(),
    }
    if layout.is_htmx(request):
        return pages.render(request, "webhooks/live.html", {"row": row, **context})
    return _tab(request, viewer, row, "webhook-statistics", "statistics.html", context)


def _shown(row: Webhook, now: datetime) -> tuple[object, ...]:
    """Return what changes in a row of the list."""
    return (
        row.pk,
        row.label,
        row.description,
        health.state_of(row),
        next_attempt.future(row.earliest_possible_trigger, now),
        row.last_success_id,
        row.last_failure_id,
    )


@layout.signed_in("GET")
def http(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab HTTP settings, with secret and header values masked."""
    row = find(request, viewer, pk)
    context = {
        "mask": mask_secret(row.jwt_secret),
        "is_short": is_short_secret(row.jwt_secret),
        "headers": masked(row.headers).items(),
    }
    return _tab(request, viewer, row, "webhook-http", "http.html", context)


@layout.signed_in("GET")
def data(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Custom data."""
    row = find(request, viewer, pk)
    text = json.dumps(row.data, indent=2, ensure_ascii=False) if row.data else ""
    return _tab(request, viewer, row, "webhook-data", "data.html", {"text": text})


@layout.signed_in("GET")
def response(request: HttpRequest, viewer: Viewer, pk: str, outcome: str) -> HttpResponse:
    """Show the response of the last success or failure in a dialog, or redirect to its page."""
    row = find(request, viewer, pk)
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
    row = find(request, viewer, pk)
    if request.method != "POST":
        return _edit(request, viewer, row, EditForm(row))
    if request.POST.get("go") == "row":
        form = EditForm(row, with_empty_row(request.POST))
        form.hide_errors()
        return _edit(request, viewer, row, form)
    form = EditForm(row, request.POST)
    if not form.is_valid():
        return _edit(request, viewer, row, form)
    save(request, viewer, row, form.fields_to_save)
    changed = [
        _LABELS[name] for name, value in form.fields_to_save.items() if getattr(row, name) != value
    ]
    if changed:
        viewer.record(row, f"Changed {', '.join(changed)}.")
    messages.success(request, "Webhook saved")
    return pages.see_other(reverse("webhook", args=[pk]))


@layout.signed_in("GET", "POST")
def delete(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Ask for confirmation, or delete a webhook."""
    row = find(request, viewer, pk)
    if request.method != "POST":
        context = {"row": row, "deleted": _deleted_with(row)}
        return layout.render(request, viewer, "webhooks/delete.html", context)
    viewer.record(row, "", DELETION)
    actions.delete(row.pk)
    messages.success(request, f"Webhook {row.pk} deleted")
    return pages.see_other(reverse("webhooks"))


@layout.signed_in("POST")
def run_action(request: HttpRequest, viewer: Viewer, pk: str, name: str) -> HttpResponse:
    """Trigger, enable, disable or recover a webhook."""
    if name not in ACTIONS:
        raise Missing(name)
    row = find(request, viewer, pk)
    try:
        result = ACTIONS[name].run(row, viewer.user)
    except Missing:
        report_deleted(request, pk)
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, _with_link(*result))
        viewer.record(row, f"{ACTIONS[name].label}.")
    origin = pages.local_path(request.POST.get("next", ""))
    return pages.see_other(origin or reverse("webhook", args=[pk]))


def _with_link(message: str, delivery: int | None) -> str:
    """Return the message, with a link to the created delivery."""
    if delivery is None:
        return message
    address = reverse("delivery", args=[delivery])
    link = format_html('<a href="{}">View delivery {}</a>', address, delivery)
    return format_html("{} {}", message, link)


def _tab(
    request: HttpRequest,
    viewer: Viewer,
    row: Webhook,
    current: str,
    template: str,
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    context = _shared(viewer, row, current, (context or {}).get("health")) | (context or {})
    return layout.render(request, viewer, f"webhooks/{template}", context)


def _shared(
    viewer: Viewer, row: Webhook, current: str, line: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what all tabs show."""
    return {
        "row": row,
        "health": line or health.read(row, viewer.account, clock.now()),
        "type_label": types.label(row.type, row.object_class),
        "tabs": [(reverse(name, args=[row.pk]), label, name == current) for name, label in _TABS],
    }


def _edit(request: HttpRequest, viewer: Viewer, row: Webhook, form: EditForm) -> HttpResponse:
    context = {"row": row, "form": form, "type_label": types.label(row.type, row.object_class)}
    return layout.render(request, viewer, "webhooks/edit.html", context)


def _deleted_with(row: Webhook) -> list[tuple[str, int]]:
    """Return what is deleted with a webhook, counted."""
    return [
        (name, model._default_manager.filter(webhook=row).count())
        for name, model in (("deliveries", Delivery), ("attempts", Attempt), ("events", Event))
    ]
