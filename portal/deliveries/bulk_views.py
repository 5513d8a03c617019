"""Views that send many deliveries again: the selected ones, all that match, or all of a cause."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.datastructures import MultiValueDict

from portal import layout, pages
from portal.deliveries import bulk, causes, queries, search
from portal.deliveries.causes import Cause
from portal.deliveries.search import SearchError
from portal.identity import Viewer
from portal.models import BulkResend
from portal.paging import with_values
from requests_queue import clock
from webhooks.models import Delivery

MAX_SELECTED = 200
_MAX_PAGE = 4000  # characters of a URL


@layout.signed_in("POST")
def send_many(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Send the selected deliveries again, or those of a cause, or ask whether to send all."""
    page = pages.local_path(request.POST.get("next", "")[:_MAX_PAGE]) or reverse("deliveries")
    try:
        key = uuid.UUID(request.POST.get("key", ""))
    except ValueError:
        return _refused(request, page, "Reload the page, and send the form again.")
    if "cause" in request.POST:
        return _send_cause(request, viewer, key, page)
    if request.POST.get("which") != "all":
        ids = bulk.chosen(viewer.account, _selected(request.POST))
        if not ids:
            return _refused(request, page, "Select the deliveries to send again.")
        job = bulk.create(viewer, key, ids, page)
        return _start(job)
    try:
        terms = search.parse(request.POST.get("q", ""), clock.now())
    except SearchError as error:
        return _refused(request, page, str(error))
    ids = bulk.matching(viewer.account, terms, request.POST.get("webhook", ""))
    if not ids:
        return _refused(request, page, "No delivery matches that was sent before.")
    job = bulk.create(viewer, key, ids, page)
    return pages.see_other(reverse("deliveries-again-job", args=[job.pk]))


def _send_cause(request: HttpRequest, viewer: Viewer, key: uuid.UUID, page: str) -> HttpResponse:
    """Send the deliveries again that match and that a cause has left undelivered."""
    try:
        cause = Cause.parse(request.POST["cause"])
        terms = search.parse(request.POST.get("q", ""), clock.now())
    except SearchError as error:
        return _refused(request, page, str(error))
    except ValueError:
        return _refused(request, page, "Reload the page, and send the form again.")
    webhooks = list(queries.own_webhooks(viewer.account, request.POST.get("webhook", "")))
    newest = causes.undelivered(webhooks, terms, cause)
    row, has_more = bulk.start_undelivered(viewer, key, newest, page)
    texts = []
    if row is not None:
        texts.append(f"{row.total} deliver{'y' if row.total == 1 else 'ies'} will be sent again.")
    if has_more:
        texts.append("These are the newest: send all again once more for the others.")
    if count := bulk.trigger(viewer, causes.waiting(webhooks, terms, cause)):
        names = "1 webhook was" if count == 1 else f"{count} webhooks were"
        texts.append(f"{names} triggered: pending deliveries are sent once that request succeeds.")
    if texts:
        messages.success(request, " ".join(texts))
    else:
        messages.info(request, f"{cause}: no delivery is left to send again.")
    return _to_log(row) if row is not None else pages.see_other(page)


@layout.signed_in("GET")
def job(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show how far a job is, or ask whether to start it."""
    row = _job(viewer, pk)
    if layout.is_htmx(request):
        return layout.render(request, viewer, "deliveries/bulk_progress.html", {"job": row})
    context = {"job": row, "limit": bulk.LIMIT}
    if row.state == BulkResend.ASKED:
        pending = queries.visible(viewer.account).filter(
            pk__in=row.deliveries, state__in=(Delivery.WAITING, Delivery.CALLING)
        )
        context["pending"] = pending.count()
    return layout.render(request, viewer, "deliveries/bulk.html", context)


@layout.signed_in("POST")
def start(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Start a job that was asked for."""
    return _start(_job(viewer, pk))


@layout.signed_in("POST")
def cancel(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Cancel the rest of a job."""
    row = _job(viewer, pk)
    bulk.cancel(row)
    return _to_log(row)


def _start(row: BulkResend) -> HttpResponse:
    bulk.start(row)
    return _to_log(row)


def _to_log(row: BulkResend) -> HttpResponse:
    """Redirect to the page with the log, which shows the job's progress."""
    path, _, query = row.page.partition("?")
    return pages.see_other(f"{path}{with_values(QueryDict(query), sent=row.pk)}")


def _refused(request: HttpRequest, page: str, message: str) -> HttpResponse:
    messages.error(request, message)
    return pages.see_other(page)


def _selected(data: MultiValueDict[str, str]) -> list[int]:
    values = data.getlist("delivery")[:MAX_SELECTED]
    return [int(v) for v in values if v.isascii() and v.isdigit() and len(v) < 19]


def _job(viewer: Viewer, pk: int) -> BulkResend:
    return get_object_or_404(BulkResend, pk=pk, account=viewer.account)
