"""Views of queues that write: actions, edits, messages, validations, samples.

They are for the objects' parties.

A sample is previewed by its queue, changed by the viewer, and created as the API's POST would. One
that the other party would create is created as that party: in a sandbox by every user, elsewhere by
administrators only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from portal.queues import editing, labels, lists
from portal.queues.actions import ActionPage
from portal.queues.conversation import MessageForm
from portal.queues.parameters import ParameterFields
from portal.queues.views import head, object_page
from requests_queue.api.json_paths import set_value, value_at
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account
from requests_queue.errors import FieldError, Forbidden, Missing, Refused
from requests_queue.queues import samples, services, transitions, validation
from requests_queue.queues.base import Queue
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest
from requests_queue.queues.validation import Validated


class SamplePage:
    """The form of a preview: its fields by section, its parameters, and errors."""

    def __init__(
        self, queue: Queue, viewer: Viewer, sample: SampleRequest, post: QueryDict | None = None
    ) -> None:
        self.queue, self.viewer = queue, viewer
        assert queue.preview is not None
        self.preview: Preview = queue.preview(sample)
        self.form = forms.Form(post)
        self.form.use_required_attribute = False
        for n, entry in enumerate(self.preview.entries):
            value = value_at(self.preview.body, entry.path.split("."))
            self.form.fields[f"entry{n}"] = _field(entry, value)
        self.params = ParameterFields(list(self.preview.params), post)
        self.errors: list[str] = []

    @property
    def creator(self) -> Account | None:
        """The account that would create the object."""
        return self.preview.actor.account

    @property
    def sections(self) -> list[tuple[str, list[Any]]]:
        """The fields by section, in the order of the preview."""
        sections: dict[str, list[Any]] = {}
        for n, entry in enumerate(self.preview.entries):
            sections.setdefault(entry.section, []).append(self.form[f"entry{n}"])
        return list(sections.items())

    def create(self) -> str:
        """Create the object and return its id; empty if the form has errors now."""
        if not self.form.is_valid():
            return ""
        try:
            return self._create()
        except Refused as refused:
            for error in self.params.refuse(refused.errors):
                n = _field_of(self.preview.entries, error)
                if n is None:
                    self.errors.append(str(error))
                else:
                    self.form.add_error(f"entry{n}", error.message)
            return ""

    def _create(self) -> str:
        if not _may_act_as(self.viewer, self.creator):
            raise Forbidden("Only the other party can create this.")
        actor = self.preview.actor
        if actor.account == self.viewer.account:
            actor = self.viewer.actor
        body = self.preview.body
        for n, entry in enumerate(self.preview.entries):
            set_value(body, entry.path, self.form.cleaned_data[f"entry{n}"])
        if self.params.params:
            set_value(body, self.preview.params_path, self.params.all_entries())
        with transitions.atomic():
            pk: str = services.create(self.queue, actor, body)["id"]
            account = self.viewer.account
            if not self.queue.model.visible_to(account).filter(pk=pk).exists():
                role = Actor(None, account).role
                raise Forbidden(f"A {role} does not see this {self.queue.object_class}.")
        return pk


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
def write_message(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Write into the object's conversation, as the viewer."""
    queue, row = lists.find_object(name, pk, viewer.account)
    form = MessageForm(viewer.account, request.POST)
    if form.send(row, viewer):
        messages.success(request, "Message sent")
        return _to_object(queue, pk)
    return object_page(request, viewer, queue, row, form)


@layout.signed_in("POST")
def assign(request: HttpRequest, viewer: Viewer, name: str, pk: str) -> HttpResponse:
    """Assign an object to a user of the viewer's account, or to nobody."""
    queue, _ = lists.find_object(name, pk, viewer.account)
    uid = request.POST.get("user")
    if uid is None or not services.has_assignee(queue):
        raise Missing(pk)
    user = services.colleagues(viewer.actor).filter(uid=uid.replace("\0", "")).first()
    if uid and user is None:
        raise Missing(uid)
    services.assign(queue, viewer.actor, pk, user)
    messages.success(request, f"Assigned to {user.name}" if user else "Assigned to nobody")
    return _to_object(queue, pk)


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
    sample = _sample_request(queue, viewer, request.GET)
    page, why_unavailable, created = _sample(request, viewer, queue, sample)
    if created:
        messages.success(request, f"{created} created")
        return _to_object(queue, created)
    context = {
        "queue": queue,
        "name": labels.name_of(queue),
        "kind": labels.one_of(queue),
        "sample": sample,
        "page": page,
        "why_unavailable": why_unavailable,
        "products": lists.products(viewer.account),
        "has_drafts": queue.draft_sample is not None,
        "may_create": _may_act_as(viewer, page.creator if page else None),
    }
    status = 400 if request.method == "POST" else 200
    return layout.render(request, viewer, "queues/new.html", context, status)


def _sample(
    request: HttpRequest, viewer: Viewer, queue: Queue, sample: SampleRequest
) -> tuple[SamplePage | None, str, str]:
    """Return the preview, why there is none, and the id of the object that a POST has created."""
    post = request.POST if request.method == "POST" else None
    try:
        if post is not None and "at_once" in post:
            return None, "", _create_directly(queue, viewer, sample)
        if queue.preview is None:
            return None, "", ""
        page = SamplePage(queue, viewer, sample, post)
    except Refused as refused:
        return None, str(refused), ""
    return page, "", page.create() if post is not None else ""


def _to_object(queue: Queue, pk: str) -> HttpResponse:
    return pages.see_other(reverse("queue-object", args=[labels.name_of(queue), pk]))


def _sample_request(queue: Queue, viewer: Viewer, query: Mapping[str, str]) -> SampleRequest:
    """Return the requested sample: by default of the queue's first type and of any product.

    Raises Http404 for a product that the account may not see.
    """
    product = None
    if pk := query.get("product", ""):
        product = get_object_or_404(visibility.products(viewer.account), pk=pk)
    kinds = queue.types or ("",)
    kind = query.get("type", "")
    return SampleRequest(
        kind if kind in kinds else kinds[0],
        viewer.account,
        product,
        query.get("about", ""),
        bool(query.get("draft")) and queue.draft_sample is not None,
    )


def _may_act_as(viewer: Viewer, account: Account | None) -> bool:
    """Whether the viewer may create samples as this account."""
    return account == viewer.account or settings.SANDBOX or viewer.user.is_superuser


def _create_directly(queue: Queue, viewer: Viewer, sample: SampleRequest) -> str:
    """Create a sample without a preview, with all that it depends on; return its id.

    Raises Refused.
    """
    if not _may_act_as(viewer, None):
        raise Forbidden("Samples that require the other party are available in a sandbox only.")
    product = sample.product.pk if sample.product else None
    row = samples.make(
        queue.object_class, sample.kind or None, product, viewer.account, draft=sample.draft
    )
    return row.pk


def _field(entry: PreviewField, value: Any) -> forms.Field:
    # The service that creates the object validates the value.
    attrs = {"autocomplete": "off"}
    if entry.kind == "number":
        attrs["inputmode"] = "decimal"
    if entry.kind == "email":
        attrs |= {"inputmode": "email", "type": "email"}
    widget = forms.Textarea({"rows": 2}) if entry.label in ("Note", "Notes") else None
    return forms.CharField(
        label=entry.label,
        required=entry.required,
        initial="" if value is None else str(value),
        widget=widget or forms.TextInput(attrs),
    )


def _field_of(entries: tuple[PreviewField, ...], error: FieldError) -> int | None:
    """Return the number of the field that an error is about; None if there is none."""
    exact = [n for n, entry in enumerate(entries) if entry.path == error.path]
    below = [n for n, entry in enumerate(entries) if entry.path.startswith(f"{error.path}.")]
    named = [n for n in below if error.entry and entries[n].word == error.entry]
    return next(iter(exact or named or (below if len(below) == 1 else [])), None)
