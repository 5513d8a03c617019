"""Views of queues that read: the index, boards and lists, one object. For the objects' parties."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, markdown, pages, panels
from portal.identity import Viewer
from portal.paging import paged, with_values
from portal.queues import (
    actions,
    bulk,
    conversation,
    editing,
    history,
    labels,
    lists,
    next_step,
    parameters,
    sections,
)
from portal.queues.conversation import MessageForm
from portal.queues.sections import Fact
from requests_queue.queues import services, validation
from requests_queue.queues.base import Queue, QueueObject


@layout.signed_in("GET")
def queues(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show all queues with their objects counted by status."""
    context = {"queues": lists.summaries(viewer.account)}
    return layout.render(request, viewer, "queues/index.html", context)


@layout.signed_in("GET")
def queue(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Show the objects of a queue as a board, or as a list."""
    queue = lists.find(name)
    query = request.GET.copy()
    seen = query.pop("seen", [""])[0]
    # The links of a polled part have the queries of the page.
    request.GET = query  # type: ignore[assignment]
    is_list = not queue.statuses or "status" in query
    context = (_list if is_list else _board)(request, viewer, queue)
    if layout.is_htmx(request) and seen == context["digest"]:
        return pages.empty()
    context |= {
        "queue": queue,
        "name": labels.name_of(queue),
        "query": query,
        "is_list": is_list,
        "has_sample": queue.sample is not None,
        "poll": with_values(query, seen=context["digest"]),
    }
    if layout.is_htmx(request):
        return layout.render(request, viewer, "queues/content.html", context)
    context["products"] = lists.products(viewer.account)
    return layout.render(request, viewer, "queues/queue.html", context)


def _board(request: HttpRequest, viewer: Viewer, queue: Queue) -> dict[str, Any]:
    rows = lists.filtered(queue, viewer.account, request.GET)
    columns = lists.columns(queue, viewer, rows)
    counts = {column["status"]: column["count"] for column in columns}
    return {
        "columns": columns,
        "statuses": list(counts.items()),
        "total": sum(counts.values()),
        "offers": bulk.offers(queue, viewer, rows, counts),
        "digest": layout.digest(
            [
                (each["status"], each["count"], [(card.pk, card.updated) for card in each["cards"]])
                for each in columns
            ]
        ),
    }


def _list(request: HttpRequest, viewer: Viewer, queue: Queue) -> dict[str, Any]:
    rows = lists.filtered(queue, viewer.account, request.GET)
    counts = lists.counts(rows) if queue.statuses else {}
    status = request.GET.get("status", "")
    offers = bulk.offers(queue, viewer, rows, counts, status)
    if status in queue.by_status:
        rows = rows.filter(status=status)
    page = paged(request, rows)
    cards = lists.cards(queue, viewer, page.rows)
    return {
        "offers": offers,
        "paged": page,
        "cards": cards,
        "status": status,
        "total": sum(counts.values()),
        "statuses": [(each, counts.get(each, 0)) for each in queue.status_names],
        "digest": layout.digest(counts, [(card.pk, card.updated) for card in cards]),
    }


@layout.signed_in("GET")
def queue_object(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Show an object, its actions and its history."""
    queue, row = lists.find_object(name, pk, viewer.account)
    return object_page(request, viewer, queue, row)


def object_page(
    request: HttpRequest,
    viewer: Viewer,
    queue: Queue,
    row: QueueObject,
    message: MessageForm | None = None,
) -> HttpResponse:
    """Return the page of an object; `message` is the form of a message that was refused."""
    filled = panels.fill(panels.OBJECT, viewer.account.pk, [row.pk])
    is_replaced = any(row.pk in each.data for each in filled)
    entries = [] if is_replaced else history.of(row.pk, viewer.account)
    attachments = services.attachments(queue, row)
    digest = layout.digest(
        row.status,
        row.updated,
        row.assignee_id,
        history.state(entries),
        [each.pk for each in attachments or ()],
        [each.data for each in filled],
    )
    if layout.is_unchanged(request, digest):
        return pages.empty()
    # The refusal of a message has another address than the page.
    address = reverse("queue-object", args=[labels.name_of(queue), row.pk]) if message else ""
    context = _object(queue, row, viewer) | {
        "entries": entries,
        "attachments": attachments,
        "panels": filled,
        "is_replaced": is_replaced,
        "poll": f"{address}?seen={digest}",
        "message": message or MessageForm(viewer.account),
        "is_closed": conversation.is_closed(row, viewer.account),
    }
    template = "object_content" if layout.is_htmx(request) else "object"
    status = 400 if message else 200
    return layout.render(request, viewer, f"queues/{template}.html", context, status)


def _object(queue: Queue, row: QueueObject, viewer: Viewer) -> dict[str, Any]:
    shown = services.get(queue, viewer.actor, row.pk)
    parties = [
        Fact("Vendor", row.vendor.name, id=row.vendor_id),
        Fact("Distributor", row.provider.name, id=row.provider_id),
    ]
    activation = shown.get("activation") or {}
    why_refused = editing.why_refused(queue, row)
    step, others = (
        next_step.of_object(queue, row, viewer),
        actions.of_other_party(queue, row, viewer),
    )
    return (
        head(queue, row)
        | history.webhook_facts(queue, row, viewer.account)
        | {
            "shown": shown,
            "sections": sections.sections(shown, labels.capital(labels.one_of(queue)), parties),
            "tiers": (tiers := sections.tiers(shown)),
            "reader": "customer" if any(each.title == "Customer" for each in tiers) else "reseller",
            "items": sections.items(shown),
            "params": parameters.table(parameters.of(queue, shown)),
            "text": markdown.render(services.text(queue, viewer.actor, row.pk)),
            "form_link": shown.get("params_form_url") or activation.get("link") or "",
            "buttons": actions.buttons(queue, row, viewer),
            "next_step": step,
            "other_actions": [
                title for title in others if step is None or title not in step.actions
            ],
            "other": row.provider if viewer.account.is_vendor else row.vendor,
            "can_edit": why_refused == "",
            "why_refused": "" if row.status in queue.final else why_refused,
            "can_validate": validation.find(queue.object_class) is not None
            and row.status in validation.STATUSES,
            "has_assignee": services.has_assignee(queue),
            "colleagues": services.colleagues(viewer.actor).order_by("is_service", "username"),
        }
    )


def head(queue: Queue, row: QueueObject) -> dict[str, Any]:
    """Return what all pages of an object show."""
    return {
        "queue": queue,
        "name": labels.name_of(queue),
        "row": row,
        "kind": labels.capital(f"{getattr(row, 'type', '')} {labels.one_of(queue)}".strip()),
    }


@layout.signed_in("GET")
def attachment(request: HttpRequest, viewer: Viewer, name: str, pk: str, file: str) -> HttpResponse:
    """Download a file of an object."""
    queue, row = lists.find_object(name, pk, viewer.account)
    return services.download(queue, row, file)


@layout.signed_in("GET", "POST")
def source(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Show an object's JSON as the API returns it; passwords in the response to a POST only."""
    queue, row = lists.find_object(name, pk, viewer.account)
    shown = services.get(queue, viewer.actor, pk)
    is_masked = request.method != "POST" and parameters.has_password(shown)
    visible = parameters.masked(shown) if is_masked else shown
    text = json.dumps(visible, indent=2, ensure_ascii=False)
    context = head(queue, row) | {"text": text, "is_masked": is_masked}
    return layout.render(request, viewer, "queues/source.html", context)
