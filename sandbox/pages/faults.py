"""Pages of faults: which a user may see, arm and clear; the list, the form, and the commands.

Administrators: all. Users of an account: those of its webhooks and of its calls of the API. They
also see the faults that concern everybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from portal import layout, pages
from portal.commands import MAX_FOUND, Command
from portal.identity import Viewer
from requests_queue.errors import Conflict, Invalid, Missing
from requests_queue.time_format import format_span
from sandbox.api.faults import METHODS, FaultInput
from sandbox.faults import api_side, armed, kinds
from sandbox.faults.kinds import API, DELIVERY, KINDS, SIDES, TASK, Kind, Parameter
from sandbox.models import Fault, HeldResponse
from webhooks.models import Webhook

SIDE_TITLES = {
    DELIVERY: "Requests to handlers",
    API: "Responses of the API to handlers",
    TASK: "Tasks for runners of extensions",
}
MAX_HELD = 10  # calls of a fault that are shown
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
_SCOPES = {
    "webhook": "Webhook",
    "account": "Account",
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


def webhooks(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the webhooks of the account that the viewer acts as."""
    return Webhook.objects.filter(account=viewer.account).order_by("label", "pk")


def readable(viewer: Viewer) -> list[tuple[Fault, bool]]:
    """Return the faults that a viewer may see, and whether they may change each."""
    rows = armed.listed()
    own = _own(viewer, rows)
    return [
        (row, row.pk in own)
        for row in rows
        if row.pk in own or not {"webhook", "account"} & row.scope.keys()
    ]


def linked(viewer: Viewer, rows: Iterable[Fault]) -> set[str]:
    """Return the webhooks of faults whose pages the viewer may see; at most one statement."""
    named = {row.scope["webhook"] for row in rows if "webhook" in row.scope}
    return set(webhooks(viewer).filter(pk__in=named).values_list("pk", flat=True))


def _own(viewer: Viewer, rows: Sequence[Fault]) -> set[str]:
    """Return the ids of the faults that a viewer may change."""
    if viewer.user.is_superuser:
        return {row.pk for row in rows}
    theirs = linked(viewer, rows)
    return {
        row.pk
        for row in rows
        if row.scope.get("webhook") in theirs or row.scope.get("account") == viewer.account.pk
    }


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault, what it holds, whether the viewer may change it, and see its webhook's page."""

    row: Fault
    may_change: bool
    has_page: bool = False
    held: Sequence[HeldResponse] = ()

    @property
    def text(self) -> str:
        return KINDS[self.row.kind].texts[self.row.side]

    @property
    def side(self) -> str:
        return SIDE_TITLES[self.row.side]

    @property
    def scope(self) -> str:
        """Return what it is limited to, besides a webhook."""
        scope = self.row.scope
        return " ".join(scope[name] for name in ("account", "method", "path") if name in scope)

    @property
    def parameters(self) -> str:
        """Return the values of its parameters, in the order of the registry."""
        names = [parameter.name for parameter in KINDS[self.row.kind].parameters]
        values = self.row.parameters
        return ", ".join(f"{name} {values[name]}" for name in names if name in values)

    @property
    def counts(self) -> str:
        """Return for which of the matching requests it fires."""
        row, parts = self.row, []
        if row.nth:
            parts.append(f"for requests {', '.join(map(str, row.nth))}")
        if row.probability is not None:
            parts.append(f"with probability {row.probability:g}, seed {row.seed}")
        if row.after:
            parts.append(f"after the first {row.after}")
        if row.times is not None:
            parts.append(f"at most {row.times} time{'s' if row.times > 1 else ''}")
        return ", ".join(parts)

    @property
    def is_armed(self) -> bool:
        """Whether it may still fire."""
        return armed.is_armed(self.row)

    @property
    def state(self) -> str:
        left: float | None = getattr(self.row, "expires_in", None)
        if left is not None and left <= 0:
            return "expired"
        return "armed" if self.is_armed else "used up"

    @property
    def expires(self) -> str:
        """Return when it expires, rounded up to 10 s so that the page changes seldom."""
        left: float | None = getattr(self.row, "expires_in", None)
        return "" if left is None or left <= 0 else format_span(-(-left // 10) * 10)

    @property
    def shown_held(self) -> Sequence[HeldResponse]:
        """Return the oldest calls that it holds."""
        return self.held[:MAX_HELD]

    @property
    def more_held(self) -> int:
        """Return how many are left out."""
        return max(0, len(self.held) - MAX_HELD)

    @property
    def digest(self) -> tuple[object, ...]:
        """Return what changes when the page changes."""
        held = [row.pk for row in self.held]
        return (self.row.pk, self.row.asked, self.row.fired, self.state, self.expires, held)


def kinds_by_side() -> list[tuple[str, str, list[tuple[Kind, str]]]]:
    """Return the sides, their titles, and the kinds of each with what they do."""
    return [
        (side, title, [(kind, kind.texts[side]) for kind in KINDS.values() if side in kind.texts])
        for side, title in SIDE_TITLES.items()
    ]


def commands(viewer: Viewer) -> Iterator[Command]:
    """Return the form of each kind of fault, and what clears all that the viewer may change."""
    # Without any in this process, it takes no statement.
    if any(map(armed.on, SIDES)) and any(may_change for _, may_change in readable(viewer)):
        yield Command("Clear all faults", reverse("faults-clear"), method="post")
    for side, title, rows in kinds_by_side():
        for kind, _ in rows:
            address = reverse("fault-new", args=[side, kind.name])
            yield Command(f"Arm fault {kind.name}…", address, title, "new")


def find_faults(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the faults by a part of their name or id, with what clears those of the viewer."""
    if not any(map(armed.on, SIDES)):
        return
    part = text.strip().casefold().removeprefix("clear ").removeprefix("fault ")
    rows = [
        (row, may_change)
        for row, may_change in readable(viewer)
        if part in row.name.casefold() or part == row.pk.casefold()
    ]
    for row, may_change in rows[:MAX_FOUND]:
        yield Command(f"Fault {row.name}", reverse("faults"), row.kind)
        if may_change:
            address = reverse("fault-clear", args=[row.pk])
            yield Command(f"Clear fault {row.name}", address, row.kind, method="post")


# Arming.


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
        scopes = {DELIVERY: _delivery_scope, API: _api_scope, TASK: _task_scope}[side](viewer)
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
    choices = [(row.pk, f"{row.label} ({row.pk})") for row in webhooks(viewer)]
    return {"webhook": _choice("webhook", choices, may_be_any=viewer.user.is_superuser)}


def _task_scope(viewer: Viewer) -> dict[str, forms.Field]:
    accounts = viewer.accounts or [viewer.account]
    choices = [(each.pk, f"{each.name} ({each.pk})") for each in accounts]
    return {"account": _choice("account", choices, may_be_any=viewer.user.is_superuser)}


def _api_scope(viewer: Viewer) -> dict[str, forms.Field]:
    return {
        **_task_scope(viewer),
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


# Views.


@layout.signed_in("GET")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the faults with their counts, and the kinds; htmx polls the list."""
    found = readable(viewer)
    held = api_side.held([row.pk for row, _ in found])
    with_page = linked(viewer, [row for row, _ in found])
    rows = [
        FaultView(row, may, row.scope.get("webhook") in with_page, held.get(row.pk, ()))
        for row, may in found
    ]
    seen = layout.digest([row.digest for row in rows])
    if layout.is_unchanged(request, seen):
        return pages.empty()
    context = {
        "rows": rows,
        "seen": seen,
        "may_clear": any(row.may_change for row in rows),
        "sides": kinds_by_side(),
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
        "title": SIDE_TITLES[side],
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
    for row, may_change in readable(viewer):
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
        row = armed.get(pk)
        if pk in _own(viewer, [row]):
            return row
        raise Missing(pk)
    except Missing:
        messages.error(request, "The fault does not exist. It may have been cleared.")
        raise
