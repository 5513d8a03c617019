"""Views of queues that write: actions, edits, validations, samples. For the objects' parties."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from portal.queues import editing, labels, lists, new_sample
from portal.queues.actions import ActionPage
from portal.queues.views import head
from requests_queue.errors import Missing, Refused
from requests_queue.queues import validation
from requests_queue.queues.base import Queue, SampleRequest
from requests_queue.queues.validation import Validated


@layout.signed_in("GET", "POST")
def run_action(
    request: HttpRequest, viewer: Viewer, name: str, pk: str, action: str
) -> HttpResponse:
    """Show the form of an action, or run the action."""
    queue, row = lists.find_object(name, pk, viewer.account)
    if action not in queue.by_name:
        raise Missing(action)
    title = queue.by_name[action][0].title
    page = ActionPage(queue, row, action, request)
    if request.method == "POST" and page.run(viewer):
        row.refresh_from_db(fields=["status"])
        messages.success(request, f"{title}: {pk} is {queue.status(row.status).title}.")
        return _to_object(queue, pk)
    context = head(queue, row) | {"page": page, "title": title}
    status = 400 if request.method == "POST" else 200
    return layout.render(request, viewer, "queues/action.html", context, status)


@layout.signed_in("GET", "POST")
def edit(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Show or save the form with what the API's PUT allows to the viewer."""
    queue, row = lists.find_object(name, pk, viewer.account)
    if validation.find(queue.object_class) is None:
        raise Missing(pk)
    post = request.POST if request.method == "POST" else None
    page = editing.EditPage(queue, row, viewer, post)
    if post is not None and page.save():
        messages.success(request, f"{pk} saved")
        return _to_object(queue, pk)
    status = 200 if post is None else 400
    context = head(queue, row) | {"page": page}
    return layout.render(request, viewer, "queues/edit.html", context, status)


@layout.signed_in("POST")
def validate(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Validate a draft or an inquiry; this waits for the vendor's handler."""
    queue, _ = lists.find_object(name, pk, viewer.account)
    about = validation.find(queue.object_class)
    if about is None:
        raise Missing(pk)
    try:
        if validation.validate(about, pk, {}, viewer.actor):
            messages.success(request, _validated(about, pk))
        else:
            text = "Not validated: the vendor has no enabled webhook that validates such requests."
            messages.warning(request, text)
    except Refused as refused:
        messages.error(request, f"Not validated. {refused}")
    return _to_object(queue, pk)


def _validated(about: Validated, pk: str) -> str:
    errors = sum(bool(param.get("value_error")) for param in about.params_of(about.shown(pk)))
    if errors == 1:
        return "Validated. 1 parameter has an error."
    return f"Validated. {errors or 'No'} parameters have errors."


@layout.signed_in("GET", "POST")
def new(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Preview a sample, or create it."""
    queue = lists.find(name)
    if queue.sample is None:
        raise Missing(name)
    sample = new_sample.sample_request(queue, viewer, request.GET)
    page, why_unavailable, created = _sample(request, viewer, queue, sample)
    if created:
        messages.success(request, f"{created} created")
        return _to_object(queue, created)
    context = {
        "queue": queue, "name": labels.name_of(queue), "kind": labels.one_of(queue),
        "sample": sample, "page": page, "why_unavailable": why_unavailable,
        "products": lists.products(viewer.account),
        "has_drafts": queue.draft_sample is not None,
        "may_create": new_sample.may_act_as(viewer, page.creator if page else None),
    }  # fmt: skip
    status = 400 if request.method == "POST" else 200
    return layout.render(request, viewer, "queues/new.html", context, status)


def _sample(
    request: HttpRequest, viewer: Viewer, queue: Queue, sample: SampleRequest
) -> tuple[new_sample.SamplePage | None, str, str]:
    """Return the preview, why there is none, and the id of the object that a POST has created."""
    post = request.POST if request.method == "POST" else None
    try:
        if post is not None and "at_once" in post:
            return None, "", new_sample.create_directly(queue, viewer, sample)
        if queue.preview is None:
            return None, "", ""
        page = new_sample.SamplePage(queue, viewer, sample, post)
    except Refused as refused:
        return None, str(refused), ""
    return page, "", page.create() if post is not None else ""


def _to_object(queue: Queue, pk: str) -> HttpResponse:
    return pages.see_other(reverse("queue-object", args=[labels.name_of(queue), pk]))
