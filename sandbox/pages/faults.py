"""Views of faults: list, arm, release, clear; see `fault_views` for who may."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.catalog.models import Account
from requests_queue.errors import Conflict, Invalid, Missing
from sandbox.api.faults import METHODS, FaultInput
from sandbox.faults import api_side, armed, kinds
from sandbox.faults.kinds import DELIVERY, KINDS, Kind, Parameter
from sandbox.models import Fault
from sandbox.pages import fault_views

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
_SCOPES = {
    "webhook": "Webhook",
    "account": "Calls of",
    "method": "Method",
    "path": "Path",
}
_ANY = ("", "Any")
# What the names of the API's keys become, in the order of the form.
_COUNTS = {
    "nth": (
        "Only for these requests",
        "Numbers of matching requests, from 1, separated by commas, "
        "for example 1, 3. Empty: for all.",
    ),
    "probability": (
        "Probability",
        "From 0 to 1. Which requests it fires for is fixed by the seed.",
    ),
    "times": ("At most", "How often it fires at most."),
    "after": ("Skip the first", "How many matching requests it skips."),
    "ttl": ("Expires after", "Seconds of real time, or a duration, for example 5m."),
    "name": ("Name", "By default the kind and a number."),
    "seed": ("Seed", "Another seed draws other requests; 1 by default."),
}


class FaultForm(forms.Form):
    """Scope, parameters and counts of a fault; a valid form has a `spec`."""

    required_css_class = "required"
    spec: dict[str, Any]

    def __init__(self, kind: Kind, side: str, viewer: Viewer, data: QueryDict | None = None):
        super().__init__(data)
        self._kind, self._side = kind, side
        self._parameters = kind.parameters_of(side)
        for parameter in self._parameters:
            self.fields[_field_name(parameter)] = _parameter_field(parameter)
        scopes = _delivery_scope(viewer) if side == DELIVERY else _api_scope(viewer)
        self._scopes = tuple(scopes)
        self.fields.update(scopes)
        for name, (label, text) in _COUNTS.items():
            self.fields[name] = forms.CharField(
                required=False,
                label=label,
                help_text=text,
                max_length=1000,
                widget=forms.TextInput(_PLAIN),
            )

    @property
    def parameters(self) -> list[forms.BoundField]:
        """Return the fields of the kind's parameters."""
        return [self[_field_name(parameter)] for parameter in self._parameters]

    @property
    def scopes(self) -> list[forms.BoundField]:
        return [self[name] for name in self._scopes]

    @property
    def counts(self) -> list[forms.BoundField]:
        """Return the fields that say for which of the matching requests it fires, and its name."""
        return [self[name] for name in _COUNTS]

    def clean(self) -> dict[str, Any]:
        """Check the fault as the API does; errors are added to their fields."""
        if not self.errors:
            try:
                self.spec = FaultInput().spec(self._body())
            except Invalid as refused:
                for error in refused.errors:
                    name = error.path.replace("parameters.", "parameter-")
                    self.add_error(name if name in self.fields else None, error.message)
        return self.cleaned_data

    def _body(self) -> dict[str, Any]:
        """Return the body of the API; what is empty is left out."""
        values = {name: text for name, text in self.cleaned_data.items() if text}
        body: dict[str, Any] = {"kind": self._kind.name, "side": self._side}
        body["parameters"] = {
            each.name: _value(each.type, values[_field_name(each)])
            for each in self._parameters
            if _field_name(each) in values
        }
        body |= {name: values[name] for name in (*self._scopes, "name", "ttl") if name in values}
        for name in ("probability", "times", "after", "seed"):
            if name in values:
                body[name] = _number(values[name])
        if "nth" in values:
            body["nth"] = [_number(part.strip()) for part in values["nth"].split(",")]
        return body


def _field_name(parameter: Parameter) -> str:
    return f"parameter-{parameter.name}"


def _parameter_field(parameter: Parameter) -> forms.CharField:
    is_set = not parameter.is_required and parameter.default is not None
    is_json = parameter.type == kinds.JSON
    return forms.CharField(
        label=parameter.name,
        required=parameter.is_required,
        initial=parameter.default if is_set else None,
        help_text=parameter.description,
        max_length=100_000,
        widget=forms.Textarea({**_PLAIN, "rows": 3}) if is_json else forms.TextInput(_PLAIN),
    )


def _delivery_scope(viewer: Viewer) -> dict[str, forms.Field]:
    rows = fault_views.webhooks(viewer).values_list("pk", "label")
    choices = [(pk, f"{label} ({pk})") for pk, label in rows]
    return {"webhook": _choice("webhook", choices, may_be_any=viewer.user.is_superuser)}


def _api_scope(viewer: Viewer) -> dict[str, forms.Field]:
    accounts: list[Account] = viewer.accounts or [viewer.account]
    choices = [(row.pk, f"{row.name} ({row.pk})") for row in accounts]
    return {
        "account": _choice("account", choices, may_be_any=viewer.user.is_superuser),
        "method": _choice("method", [(name, name) for name in METHODS]),
        "path": forms.CharField(
            required=False,
            label=_SCOPES["path"],
            max_length=300,
            help_text="Below /public/v1, for example /requests/*/approve; * is any text within a "
            "segment, ** also across segments.",
            widget=forms.TextInput(_PLAIN),
        ),
    }


def _choice(
    name: str, choices: list[tuple[str, str]], *, may_be_any: bool = True
) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=_SCOPES[name],
        choices=[_ANY, *choices] if may_be_any else choices,
        required=not may_be_any,
    )


def _value(type_: str, text: str) -> Any:
    """Return a parameter as the API has it; the API refuses a text that is not one."""
    if type_ == kinds.JSON:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text if type_ == kinds.SECONDS else _number(text)


def _number(text: str) -> Any:
    """Return the number that a text is; another text unchanged, which the API refuses."""
    if re.fullmatch(r"-?\d{1,19}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"-?\d{1,19}\.\d{1,19}", text, re.ASCII):
        return float(text)
    return text


@layout.signed_in("GET")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the faults with their counts, and the kinds; htmx polls the list."""
    rows = fault_views.visible(viewer)
    seen = layout.digest([row.digest for row in rows])
    if layout.is_unchanged(request, seen):
        return pages.empty()
    context = {
        "rows": rows,
        "seen": seen,
        "may_clear": any(row.may_change for row in rows),
        "sides": fault_views.kinds_by_side(),
    }
    template = "fault_list" if layout.is_htmx(request) else "faults"
    return layout.render(request, viewer, f"sandbox/{template}.html", context)


@layout.signed_in("GET", "POST")
def new(request: HttpRequest, viewer: Viewer, side: str, kind: str) -> HttpResponse:
    """Show the form of a kind, or arm a fault."""
    if kind not in KINDS or side not in KINDS[kind].sides:
        raise Missing(kind)
    is_post = request.method == "POST"
    form = FaultForm(KINDS[kind], side, viewer, request.POST if is_post else None)
    if is_post and form.is_valid():
        try:
            row = armed.arm(**form.spec)
        except Conflict as refused:
            form.add_error("name", str(refused))
        else:
            messages.success(request, f"Fault {row.name} is armed")
            return pages.see_other(reverse("faults"))
    context = {
        "form": form,
        "kind": KINDS[kind],
        "text": KINDS[kind].texts[side],
        "title": fault_views.SIDE_TITLES[side],
    }
    status = 400 if is_post else 200
    return layout.render(request, viewer, "sandbox/fault_new.html", context, status)


@layout.signed_in("POST")
def release(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Send the oldest response that a fault holds, or all."""
    row = _find(request, viewer, pk)
    count = 1 if request.POST.get("count") == "1" else None
    released = api_side.release(row.pk, count)
    text = f"{len(released)} response{'' if len(released) == 1 else 's'} released"
    messages.success(request, text if released else "No response was held")
    return pages.see_other(reverse("faults"))


@layout.signed_in("POST")
def clear(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    row = armed.clear(_find(request, viewer, pk).pk)
    times = {0: "never", 1: "once"}.get(row.fired, f"{row.fired} times")
    messages.success(request, f"Fault {row.name} cleared: it fired {times}")
    return pages.see_other(reverse("faults"))


@layout.signed_in("POST")
def clear_all(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Clear all faults that the viewer may change."""
    cleared = 0
    for row, may_change in fault_views.readable(viewer):
        if may_change:
            # Somebody else may have cleared it.
            with suppress(Missing):
                armed.clear(row.pk)
                cleared += 1
    messages.success(request, f"{cleared} fault{'' if cleared == 1 else 's'} cleared")
    return pages.see_other(reverse("faults"))


def _find(request: HttpRequest, viewer: Viewer, pk: str) -> Fault:
    """Return a fault that the viewer may change; reports and raises Missing."""
    try:
        return fault_views.find(viewer, pk)
    except Missing:
        messages.error(request, "The fault does not exist. It may have been cleared.")
        raise
