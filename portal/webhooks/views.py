"""Views of webhooks, for users of their account: the list, the tabs of one, and its actions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import DELETION
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages, panels
from portal.deliveries.attempt_view import AttemptView
from portal.identity import Viewer
from portal.paging import paged
from portal.webhooks import listing, webhook_statistics
from portal.webhooks.forms import EditForm, with_empty_row
from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks import actions, types
from webhooks.actions import ACTIONS
from webhooks.delivery import next_attempt
from webhooks.delivery.request import is_short_secret, mask_secret, new_secret
from webhooks.http.headers import masked
from webhooks.models import Attempt, Delivery, Event, Webhook

_TABS = [
    ("webhook", "General"),
    ("webhook-statistics", "Statistics"),
    ("webhook-http", "HTTP settings"),
    ("webhook-data", "Custom data"),
]
_LABELS = {field.name: str(field.verbose_name) for field in Webhook._meta.fields}
_BODIES = ("request_headers", "request_body", "claims", "response_headers", "response_body")


@layout.signed_in("GET")
def webhooks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the account's webhooks."""
    own, query = _own(viewer), listing.parse(request.GET)
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
    return _tab(request, viewer, _find(request, viewer, pk), "webhook", "general.html")


@layout.signed_in("GET")
def statistics(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Statistics, or the part of it that htmx polls."""
    try:
        row = _find(request, viewer, pk)
    except Missing:
        _report_deleted(request, pk)
        if not layout.is_htmx(request):
            raise
        response = pages.empty(200)
        response["HX-Redirect"] = reverse("webhooks")
        return response
    now, context = clock.now(), webhook_statistics.context(row)
    context |= {
        "next": next_attempt.of_webhook(row, now, pending=context["waiting"]), "now": now,
        "panels": panels.fill(panels.WEBHOOK, viewer.account.pk, [pk]),
    }  # fmt: skip
    if layout.is_htmx(request):
        return pages.render(request, "webhooks/live.html", {"row": row, "oob": True, **context})
    return _tab(request, viewer, row, "webhook-statistics", "statistics.html", context)


@layout.signed_in("GET")
def http(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab HTTP settings, with secret and header values masked."""
    row = _find(request, viewer, pk)
    context = {
        "mask": mask_secret(row.jwt_secret),
        "is_short": is_short_secret(row.jwt_secret),
        "headers": masked(row.headers).items(),
    }
    return _tab(request, viewer, row, "webhook-http", "http.html", context)


@layout.signed_in("GET")
def data(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Custom data."""
    row = _find(request, viewer, pk)
    text = json.dumps(row.data, indent=2, ensure_ascii=False) if row.data else ""
    return _tab(request, viewer, row, "webhook-data", "data.html", {"text": text})


@layout.signed_in("GET")
def response(request: HttpRequest, viewer: Viewer, pk: str, outcome: str) -> HttpResponse:
    """Show the response of the last success or failure in a dialog, or redirect to its page."""
    row = _find(request, viewer, pk)
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
    row = _find(request, viewer, pk)
    if request.method != "POST":
        return _edit(request, viewer, row, EditForm(row))
    if request.POST.get("go") == "row":
        form = EditForm(row, with_empty_row(request.POST))
        form.hide_errors()
        return _edit(request, viewer, row, form)
    form = EditForm(row, request.POST)
    if not form.is_valid():
        return _edit(request, viewer, row, form)
    _save(request, viewer, row, form.fields_to_save)
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
    row = _find(request, viewer, pk)
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
    row = _find(request, viewer, pk)
    try:
        message = ACTIONS[name].run(row, viewer.user)
    except Missing:
        _report_deleted(request, pk)
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
    row = _find(request, viewer, pk)
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
    row = _find(request, viewer, pk)
    if request.method != "POST":
        return layout.render(request, viewer, "webhooks/secret_new.html", {"row": row})
    secret = _renew_secret(request, viewer, row)
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


def _own(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the account's webhooks."""
    return Webhook.objects.filter(account=viewer.account)


def _find(request: HttpRequest, viewer: Viewer, pk: str) -> Webhook:
    """Return a webhook with its last attempts, whose bodies are deferred.

    Raises Missing; a POST comes from a page of the webhook, so that it was deleted since.
    """
    rows = _own(viewer).select_related(
        "product", "created_by", "modified_by", "last_success", "last_failure"
    )
    last = (f"last_{end}__{name}" for end in ("success", "failure") for name in _BODIES)
    row = rows.defer(*last).filter(pk=pk).first()
    if row is None:
        if request.method == "POST":
            _report_deleted(request, pk)
        raise Missing(pk)
    return row


def _report_deleted(request: HttpRequest, pk: str) -> None:
    """Add a message for the next page: the webhook was deleted since its page was shown."""
    messages.error(request, f"Webhook {pk} does not exist. It may have been deleted.")


def _save(request: HttpRequest, viewer: Viewer, row: Webhook, fields: Mapping[str, Any]) -> None:
    """Save validated fields; reports and raises Missing."""
    try:
        actions.edit(row.pk, viewer.user, fields)
    except Missing:
        _report_deleted(request, row.pk)
        raise


def _renew_secret(request: HttpRequest, viewer: Viewer, row: Webhook) -> str | None:
    """Set a new secret and return it; None if the form's revision of the settings is not current.

    Reloading the page sends its form again, which must not set another secret. Raises Missing.
    """
    secret = new_secret()
    with transaction.atomic():
        # Locked: of two concurrent requests one changes the revision that the other one has.
        current = Webhook.objects.select_for_update().filter(pk=row.pk)
        revisions = current.values_list("revision", flat=True)
        if any(str(each) != request.POST.get("revision") for each in revisions):
            return None
        _save(request, viewer, row, {"jwt_secret": secret})
    viewer.record(row, "Created a new JWT secret.")
    return secret


def _deleted_with(row: Webhook) -> list[tuple[str, int]]:
    """Return what is deleted with a webhook, counted."""
    return [
        (name, model._default_manager.filter(webhook=row).count())
        for name, model in (("deliveries", Delivery), ("attempts", Attempt), ("events", Event))
    ]
