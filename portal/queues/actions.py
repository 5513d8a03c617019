"""Actions on an object: the buttons of the available ones, their forms, and running them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest

from portal.identity import Viewer
from portal.queues.parameters import ParameterFields
from requests_queue.catalog import parameter_values
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.catalog.inputs import ReasonInput
from requests_queue.errors import Refused
from requests_queue.queues import services, transitions, validation
from requests_queue.queues.action_form import ActionForm, fields_of
from requests_queue.queues.base import DESTRUCTIVE, PRIMARY, Action, Queue, QueueObject
from requests_queue.queues.validation import Validated

# The CSS class of a button by the emphasis of its action, in the order of the page.
_CLASSES = {PRIMARY: "", "": "button-plain", DESTRUCTIVE: "button-bad"}


@dataclass(frozen=True, slots=True)
class Button:
    """An available action; with `has_form` the button leads to a form.

    With `for_several` the action can be taken with several objects at once.
    """

    name: str
    label: str
    target: str
    css_class: str
    has_form: bool
    for_several: bool = False


def buttons(queue: Queue, row: QueueObject, viewer: Viewer) -> list[Button]:
    """Return the actions that the viewer may take now: primary ones first, destructive last."""
    actions = queue.available_actions(row, *viewer.actor.roles_for(row))
    return [
        Button(
            action.name,
            action.title,
            queue.status(action.target).title,
            css_class,
            _has_form(queue, row, action.name),
        )
        for emphasis, css_class in _CLASSES.items()
        for action in actions
        if queue.emphasis(action) == emphasis
    ]


def usual(queue: Queue, row: QueueObject, viewer: Viewer) -> Button | None:
    """Return the usual action that the viewer may take now; it has a form if values are missing."""
    action = queue.usual_action(row, *viewer.actor.roles_for(row))
    if action is None:
        return None
    about = validation.find(queue.object_class)
    takes_file = bool(services.upload_field(queue, action.name))
    needs_form = bool(
        takes_file or isinstance(action.body, ReasonInput) or (about and _missing(row, action.name))
    )
    target = queue.status(action.target).title
    return Button(action.name, action.title, target, _CLASSES[PRIMARY], needs_form, not takes_file)


def of_several(queue: Queue, role: str) -> list[Action]:
    """Return the usual actions of a role that can be taken with several objects at once."""
    return [
        one
        for one in queue.actions
        if queue.emphasis(one) == PRIMARY
        and role in one.actors
        and not services.upload_field(queue, one.name)
    ]


def of_other_party(queue: Queue, row: QueueObject, viewer: Viewer) -> list[str]:
    """Return the titles of the actions that only the other party may take."""
    other = DISTRIBUTOR if viewer.role == VENDOR else VENDOR
    own = viewer.actor.roles_for(row)
    return [action.title for action in queue.available_actions(row, *({other} - own))]


def _has_form(queue: Queue, row: QueueObject, name: str) -> bool:
    about = validation.find(queue.object_class)
    return bool(
        fields_of(queue, name)
        or services.upload_field(queue, name)
        or (about and _params(about, row, name))
    )


def _missing(row: Any, name: str) -> Collection[str]:
    """Return the ids of the parameters whose values an approval lacks."""
    return parameter_values.missing(row.params, "fulfillment") if name == "approve" else ()


def _params(about: Validated, row: Any, name: str) -> list[dict[str, Any]]:
    """Return the parameters of an action's form: missing values, or values to inquire about."""
    params: list[dict[str, Any]] = row.params
    if missing := _missing(row, name):
        return [param for param in params if param["id"] in missing]
    return [param for param in params if param["phase"] == "ordering" and name == "inquire"]


class ActionPage:
    """The form of an action: its own fields, parameters, and a file."""

    def __init__(self, queue: Queue, row: QueueObject, name: str, request: HttpRequest) -> None:
        self.queue, self.row, self.name, self.request = queue, row, name, request
        post = request.POST if request.method == "POST" else None
        # The button of an action without a form sends no fields.
        self.form = ActionForm(queue, name, [row.product_id], post)
        self.form.use_required_attribute = False
        self.file = services.upload_field(queue, name)
        if self.file:
            self.form.fields[self.file] = forms.FileField(label="Spreadsheet (xlsx or csv)")
            self.form.files = request.FILES
            del self.form.fields["body"]
        self.about = validation.find(queue.object_class)
        is_inquiry = name == "inquire"
        params = _params(self.about, row, name) if self.about else []
        self.params = ParameterFields(
            params, post, sets_errors=is_inquiry, sets_values=not is_inquiry
        )
        self.errors: list[str] = []

    def run(self, viewer: Viewer) -> bool:
        """Run the action and return whether it succeeded; otherwise the form has the errors."""
        if not self.form.is_valid():
            return False
        try:
            self._run(viewer)
        except Refused as refused:
            for error in self.params.refuse(refused.errors):
                if error.path in self.form.fields:
                    self.form.add_error(error.path, error.message)
                else:
                    self.errors.append(str(error))
            return False
        return True

    def _run(self, viewer: Viewer) -> None:
        if self.file:
            file = self.form.cleaned_data[self.file]
            services.upload(self.queue, viewer.actor, self.row.pk, self.name, file)
            return
        entries = self.params.entries()
        with transitions.atomic():
            if entries and self.about:
                services.edit(self.queue, viewer.actor, self.row.pk, self.about.body(entries))
            data = self.form.action_data()
            services.act(self.queue, viewer.actor, self.row.pk, self.name, data)
