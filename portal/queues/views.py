"""The views of the queues that only look: all of them, one as a board or a list, one object."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from portal import layout, markdown, pages
from portal.identity import Viewer
from portal.paging import paged
from portal.queues import actions, editing, history, labels, lists, parameters, sections
from portal.queues.sections import Fact
from requests_queue.queues import services, validation
from requests_queue.queues.base import Queue, QueueObject


@require_safe
@layout.signed_in
def queues(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show all queues and how many objects of the account are where, to whoever is signed in."""
    context = {"queues": lists.summaries(viewer.account)}
    return layout.render(request, viewer, "queues/index.html", context)


@require_safe
@layout.signed_in
def queue(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Show a queue's objects as a board, or as a list of one status, to their parties."""
    found = lists.find(name)
    asked = request.GET.copy()
    seen = asked.pop("seen", [""])[0]
    # The addresses of a piece of a page are the page's own.
    request.GET = asked  # type: ignore[assignment]
    is_list = not found.statuses or "status" in asked
    context = _list(request, viewer, found) if is_list else _board(viewer, found, asked)
    if layout.is_htmx(request) and seen == context["digest"]:
        return pages.empty()
    context |= {
        "queue": found, "name": labels.name_of(found), "asked": asked, "is_list": is_list,
        "has_sample": found.sample is not None,
        "poll": _with_seen(asked, context["digest"]),
    }  # fmt: skip
    if layout.is_htmx(request):
        return layout.render(request, viewer, "queues/shown.html", context)
    context["products"] = lists.products(viewer.account)
    return layout.render(request, viewer, "queues/queue.html", context)


def _with_seen(asked: Any, digest: str) -> str:
    query = asked.copy()
    query["seen"] = digest
    return f"?{query.urlencode()}"


def _board(viewer: Viewer, found: Queue, asked: Any) -> dict[str, Any]:
    columns = lists.columns(found, viewer.account, lists.filtered(found, viewer.account, asked))
    return {
        "columns": [column for column in columns if column.count],
        "empty": [column.status for column in columns if not column.count],
        "statuses": [(column.status, column.count) for column in columns],
        "total": sum(column.count for column in columns),
        "digest": lists.digest(lists.column_state(column) for column in columns),
    }


def _list(request: HttpRequest, viewer: Viewer, found: Queue) -> dict[str, Any]:
    rows = lists.filtered(found, viewer.account, request.GET)
    counted = lists.counts(rows) if found.statuses else {}
    status = request.GET.get("status", "")
    if status in found.by_status:
        rows = rows.filter(status=status)
    page = paged(request, rows)
    cards = lists.cards(found, viewer.account, page.rows)
    return {
        "paged": page, "cards": cards, "status": status, "total": sum(counted.values()),
        "statuses": [(each, counted.get(each, 0)) for each in found.status_names],
        "digest": lists.digest([*counted.items(), *((c.pk, c.updated) for c in cards)]),
    }  # fmt: skip


@require_safe
@layout.signed_in
def queue_object(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Show an object, what may be done with it, and who was called about it, to its parties."""
    found, row = lists.find_object(name, pk, viewer.account)
    entries = history.of(row, viewer.account)
    digest = lists.digest([row.status, row.updated, *history.state(entries)])
    if layout.is_htmx(request) and request.GET.get("seen") == digest:
        return pages.empty()
    context = _object(found, row, viewer) | {"entries": entries, "poll": f"?seen={digest}"}
    template = "object_shown" if layout.is_htmx(request) else "object"
    return layout.render(request, viewer, f"queues/{template}.html", context)


def _object(found: Queue, row: QueueObject, viewer: Viewer) -> dict[str, Any]:
    shown = services.get(found, viewer.actor, row.pk)
    about = validation.find(found.object_class)
    activation = shown.get("activation")
    link = shown.get("params_form_url") or (activation or {}).get("link")
    return head(found, row) | {
        "shown": shown,
        "sections": sections.sections(shown, labels.capital(labels.one_of(found)), _parties(row)),
        "tiers": sections.tiers(shown),
        "items": sections.items(shown),
        "params": parameters.table(parameters.of(found, shown)),
        "text": markdown.render(services.text(found, viewer.actor, row.pk)),
        "form_link": link or "",
        "buttons": actions.buttons(found, row, viewer),
        "others_moves": actions.of_other_party(found, row, viewer),
        "other": row.provider if viewer.account.is_vendor else row.vendor,
        "can_edit": editing.is_offered(found, row),
        "can_validate": about is not None and row.status in validation.STATUSES,
        "is_final": row.status in found.final,
        "watching": history.watching(found, row, viewer.account),
    }


def _parties(row: QueueObject) -> list[Fact]:
    return [
        Fact("Vendor", row.vendor.name, id=row.vendor_id),
        Fact("Distributor", row.provider.name, id=row.provider_id),
    ]


def head(found: Queue, row: QueueObject) -> dict[str, Any]:
    """Return what the head of an object's pages shows."""
    return {
        "queue": found, "name": labels.name_of(found), "row": row,
        "what": labels.capital(f"{getattr(row, 'type', '')} {labels.one_of(found)}".strip()),
    }  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@layout.signed_in
def source(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Show an object's JSON as the API gives it to its parties; passwords by a POST alone."""
    found, row = lists.find_object(name, pk, viewer.account)
    shown = services.get(found, viewer.actor, pk)
    hidden = request.method != "POST" and parameters.has_password(shown)
    text = json.dumps(parameters.masked(shown) if hidden else shown, indent=2, ensure_ascii=False)
    context = head(found, row) | {"text": text, "hidden": hidden}
    return layout.render(request, viewer, "queues/source.html", context)
