"""The views of the queues that change something: a move, an edit, a validation, a new sample."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from portal import layout, pages
from portal.identity import Viewer
from portal.queues import actions, editing, labels, lists, new_sample
from portal.queues.views import head
from requests_queue.catalog.models import Account
from requests_queue.errors import Missing, Refused
from requests_queue.queues import validation
from requests_queue.queues.base import Queue, SampleRequest

_FORM = ["GET", "HEAD", "POST"]


@require_http_methods(_FORM)
@layout.signed_in
def run_action(
    request: HttpRequest, viewer: Viewer, name: str, pk: str, action: str
) -> HttpResponse:
    """Show the form of an action, and take the action as the viewer, for the object's parties."""
    queue, row = lists.find_object(name, pk, viewer.account)
    if action not in queue.by_name:
        raise Missing(action)
    title = queue.by_name[action][0].title
    asked = actions.ActionPage(queue, row, action, request)
    if request.method == "POST" and asked.make(viewer):
        row.refresh_from_db(fields=["status"])
        messages.success(request, f"{title}: {pk} is {queue.status(row.status).title}.")
        return pages.see_other(_page(queue, pk))
    context = head(queue, row) | {"asked": asked, "label": title}
    status = 400 if request.method == "POST" else 200
    return layout.render(request, viewer, "queues/move.html", context, status)


@require_http_methods(_FORM)
@layout.signed_in
def edit(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Change the parameters that the viewer's side may set, as the API's PUT: its parties."""
    queue, row = lists.find_object(name, pk, viewer.account)
    if validation.find(queue.object_class) is None:
        raise Missing(pk)
    edited = editing.EditPage(
        queue, row, viewer, request.POST if request.method == "POST" else None
    )
    if request.method == "POST" and edited.save():
        messages.success(request, f"{pk} is changed.")
        return pages.see_other(_page(queue, pk))
    status = 400 if request.method == "POST" else 200
    context = head(queue, row) | {"edited": edited}
    return layout.render(request, viewer, "queues/edit.html", context, status)


@require_POST
@layout.signed_in
def validate(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Have a draft or an inquiry validated, which waits for the vendor's handler: its parties."""
    queue, _ = lists.find_object(name, pk, viewer.account)
    about = validation.find(queue.object_class)
    if about is None:
        raise Missing(pk)
    try:
        called = validation.validate(about, pk, {}, viewer.actor)
    except Refused as refused:
        messages.error(request, f"Not validated. {refused}")
    else:
        _say_validated(request, about, pk, called)
    return pages.see_other(_page(queue, pk))


def _say_validated(
    request: HttpRequest, about: validation.Validated, pk: str, called: bool
) -> None:
    if not called:
        messages.warning(
            request, "Nobody was asked: no enabled webhook of the vendor validates such requests."
        )
        return
    wrong = sum(bool(param.get("value_error")) for param in about.params_of(about.shown(pk)))
    said = f"{wrong} of its parameters have errors." if wrong > 1 else "One parameter has an error."
    messages.success(request, f"Validated. {said if wrong else 'No parameter has an error.'}")


@require_http_methods(_FORM)
@layout.signed_in
def new(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Propose a sample object and create it as it was changed, for whoever is signed in."""
    queue = lists.find(name)
    if queue.sample is None:
        raise Missing(name)
    wanted = new_sample.sample_request(queue, viewer, request.GET)
    sketched, refusal, made = _made(request, viewer, queue, wanted)
    if made:
        messages.success(request, f"{made} is created.")
        return pages.see_other(_page(queue, made))
    context = {
        "queue": queue, "name": labels.name_of(queue), "one": labels.one_of(queue),
        "wanted": wanted, "sketched": sketched, "refusal": refusal,
        "products": lists.products(viewer.account),
        "has_drafts": queue.draft_sample is not None,
        "may_play": new_sample.may_act_as(viewer, _maker(sketched)),
    }  # fmt: skip
    status = 400 if request.method == "POST" else 200
    return layout.render(request, viewer, "queues/new.html", context, status)


def _made(
    request: HttpRequest, viewer: Viewer, queue: Queue, wanted: SampleRequest
) -> tuple[new_sample.SamplePage | None, str, str]:
    """Return the proposal, why there is none, and the id of what a POST has created."""
    posted = request.POST if request.method == "POST" else None
    at_once = posted is not None and "at_once" in posted
    try:
        if at_once:
            return None, "", new_sample.create_directly(queue, viewer, wanted)
        if queue.preview is None:
            return None, "", ""
        sketched = new_sample.SamplePage(queue, viewer, wanted, posted)
    except Refused as refused:
        return None, str(refused), ""
    return sketched, "", sketched.create() if posted is not None else ""


def _maker(sketched: new_sample.SamplePage | None) -> Account | None:
    return sketched.maker if sketched else None


def _page(queue: Queue, pk: str) -> str:
    return reverse("queue-object", args=[labels.name_of(queue), pk])
