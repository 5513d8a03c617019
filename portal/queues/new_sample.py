"""Samples: previewed by their queue, changed by the viewer, created as the API's POST would.

A sample that the other party would create is created as that party: in a sandbox by every user,
elsewhere by administrators only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.shortcuts import get_object_or_404

from portal.identity import Viewer
from portal.queues.parameters import ParameterFields
from requests_queue import samples, transitions
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account
from requests_queue.errors import FieldError, Forbidden, Refused
from requests_queue.json_paths import set_value, value_at
from requests_queue.queues import services
from requests_queue.queues.base import Preview, PreviewField, Queue, SampleRequest


def sample_request(queue: Queue, viewer: Viewer, query: Mapping[str, str]) -> SampleRequest:
    """Return the requested sample: by default of the queue's first type and of any product.

    Raises Http404 for a product that the account may not see.
    """
    product = None
    if pk := query.get("product", ""):
        product = get_object_or_404(visibility.products(viewer.account), pk=pk)
    kinds = queue.types or ("",)
    kind = query.get("type", "")
    return SampleRequest(
        kind if kind in kinds else kinds[0], viewer.account, product, query.get("about", ""),
        bool(query.get("draft")) and queue.draft_sample is not None,
    )  # fmt: skip


def may_act_as(viewer: Viewer, account: Account | None) -> bool:
    """Whether the viewer may create samples as this account."""
    return account == viewer.account or settings.SANDBOX or viewer.user.is_superuser


class SamplePage:
    """The form of a preview: its fields by section, its parameters, and errors."""

    def __init__(
        self, queue: Queue, viewer: Viewer, sample: SampleRequest, post: QueryDict | None = None
    ) -> None:
        self.queue, self.viewer = queue, viewer
        assert queue.preview is not None
        self.preview: Preview = queue.preview(sample)
        self.form = _form(self.preview, post)
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
        if not may_act_as(self.viewer, self.creator):
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


def create_directly(queue: Queue, viewer: Viewer, sample: SampleRequest) -> str:
    """Create a sample without a preview, with all that it depends on; return its id.

    Raises Refused.
    """
    if not may_act_as(viewer, None):
        raise Forbidden("Samples that require the other party are available in a sandbox only.")
    product = sample.product.pk if sample.product else None
    row = samples.make(
        queue.object_class, sample.kind or None, product, viewer.account, draft=sample.draft
    )
    return row.pk


def _form(preview: Preview, post: QueryDict | None) -> forms.Form:
    form = forms.Form(post)
    form.use_required_attribute = False
    for n, entry in enumerate(preview.entries):
        form.fields[f"entry{n}"] = _field(entry, value_at(preview.body, entry.path.split(".")))
    return form


def _field(entry: PreviewField, value: Any) -> forms.Field:
    # The service that creates the object validates the value.
    attrs = {"autocomplete": "off"}
    if entry.kind == "number":
        attrs["inputmode"] = "decimal"
    if entry.kind == "email":
        attrs |= {"inputmode": "email", "type": "email"}
    widget = forms.Textarea({"rows": 2}) if entry.label in ("Note", "Notes") else None
    return forms.CharField(
        label=entry.label, required=entry.required, initial="" if value is None else str(value),
        widget=widget or forms.TextInput(attrs),
    )  # fmt: skip


def _field_of(entries: tuple[PreviewField, ...], error: FieldError) -> int | None:
    """Return the number of the field that an error is about; None if there is none."""
    exact = [n for n, entry in enumerate(entries) if entry.path == error.path]
    below = [n for n, entry in enumerate(entries) if entry.path.startswith(f"{error.path}.")]
    named = [n for n in below if error.entry and entries[n].word == error.entry]
    return next(iter(exact or named or (below if len(below) == 1 else [])), None)
