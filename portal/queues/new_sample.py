"""A sample object by hand: proposed by its queue, changed by the viewer, created as the API would.

Samples of what the other side begins are made as that side: in a sandbox for anybody, elsewhere
for administrators alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict

from portal.identity import Viewer
from portal.queues.parameters import ParameterFields
from requests_queue import samples, transitions
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account
from requests_queue.errors import FieldError, Forbidden, Missing, Refused
from requests_queue.queues import services
from requests_queue.queues.base import Preview, PreviewField, Queue, SampleRequest


def sample_request(queue: Queue, viewer: Viewer, asked: Mapping[str, str]) -> SampleRequest:
    """Return what is wanted: the queue's first type and any product where nothing is said.

    Raises Missing for a product that the account may not see.
    """
    product = None
    if wanted := asked.get("product", ""):
        product = visibility.products(viewer.account).filter(pk=wanted).first()
        if product is None:
            raise Missing(wanted)
    kinds = queue.types or ("",)
    kind = asked.get("type", "")
    return SampleRequest(
        kind if kind in kinds else kinds[0], viewer.account, product, asked.get("about", ""),
        bool(asked.get("draft")) and queue.draft_sample is not None,
    )  # fmt: skip


def may_act_as(viewer: Viewer, side: Account | None) -> bool:
    """Whether the viewer may act for the side that begins such objects."""
    return side == viewer.account or settings.SANDBOX or viewer.user.is_superuser


class SamplePage:
    """The form of a proposal: its fields by section, its parameters, and what was refused."""

    def __init__(
        self, queue: Queue, viewer: Viewer, wanted: SampleRequest, post: QueryDict | None = None
    ) -> None:
        self.queue, self.viewer = queue, viewer
        assert queue.preview is not None
        self.proposal: Preview = queue.preview(wanted)
        self.form = _form(self.proposal, post)
        self.params = ParameterFields(list(self.proposal.params), post)
        self.errors: list[str] = []

    @property
    def maker(self) -> Account | None:
        """The account that creates it."""
        return self.proposal.actor.account

    @property
    def sections(self) -> list[tuple[str, list[Any]]]:
        """The fields by section, in the order of the proposal."""
        found: dict[str, list[Any]] = {}
        for n, entry in enumerate(self.proposal.entries):
            found.setdefault(entry.section, []).append(self.form[f"entry{n}"])
        return list(found.items())

    def create(self) -> str:
        """Create it and return its id; an empty text where something was refused."""
        if not self.form.is_valid():
            return ""
        try:
            return self._create()
        except Refused as refused:
            self._refuse(refused)
            return ""

    def _create(self) -> str:
        if not may_act_as(self.viewer, self.maker):
            raise Forbidden("This is begun by the other side.")
        actor = self.proposal.actor
        if actor.account == self.viewer.account:
            actor = self.viewer.actor
        data = self.proposal.body
        for n, entry in enumerate(self.proposal.entries):
            _put(data, entry.path, self.form.cleaned_data[f"entry{n}"])
        if self.params.params:
            _put(data, self.proposal.params_path, self.params.whole())
        with transitions.atomic():
            made: str = services.create(self.queue, actor, data)["id"]
            _check_seen(self.queue, made, self.viewer.account)
        return made

    def _refuse(self, refused: Refused) -> None:
        for error in self.params.refuse(refused.errors):
            n = _place(self.proposal.entries, error)
            if n is None:
                self.errors.append(str(error))
            else:
                self.form.add_error(f"entry{n}", error.message)


def _check_seen(queue: Queue, pk: str, account: Account) -> None:
    if not queue.model.visible_to(account).filter(pk=pk).exists():
        role = Actor(None, account).role
        raise Forbidden(f"Such a {queue.object_class} is not shown to a {role}.")


def create_directly(queue: Queue, viewer: Viewer, wanted: SampleRequest) -> str:
    """Make a sample without looking at it first, with all that it needs; return its id.

    Raises Refused.
    """
    if not may_act_as(viewer, None):
        raise Forbidden("Samples that need the other side are for a sandbox.")
    product = wanted.product.pk if wanted.product else None
    row = samples.make(
        queue.object_class, wanted.kind or None, product, viewer.account, draft=wanted.draft
    )
    return row.pk


def _form(proposal: Preview, post: QueryDict | None) -> forms.Form:
    form = forms.Form(post)
    form.use_required_attribute = False
    for n, entry in enumerate(proposal.entries):
        form.fields[f"entry{n}"] = _field(entry, _held(proposal.body, entry.path))
    return form


def _field(entry: PreviewField, held: Any) -> forms.Field:
    # Checked by what creates it, as a caller's body is.
    attrs = {"autocomplete": "off"}
    if entry.kind == "number":
        attrs["inputmode"] = "decimal"
    if entry.kind == "email":
        attrs |= {"inputmode": "email", "type": "email"}
    widget = forms.Textarea({"rows": 2}) if entry.label in ("Note", "Notes") else None
    return forms.CharField(
        label=entry.label, required=entry.required, initial="" if held is None else str(held),
        widget=widget or forms.TextInput(attrs),
    )  # fmt: skip


def _held(node: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(node, list):
            node = node[int(key)] if int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _put(node: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    node[last] = value


def _place(entries: tuple[PreviewField, ...], error: FieldError) -> int | None:
    """Return the number of the field that an error is about, None where it is about none."""
    found = [n for n, entry in enumerate(entries) if entry.path == error.path]
    below = [n for n, entry in enumerate(entries) if entry.path.startswith(f"{error.path}.")]
    named = [n for n in below if error.entry and entries[n].word == error.entry]
    return next(iter(found or named or (below if len(below) == 1 else [])), None)
