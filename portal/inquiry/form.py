"""The form as it stands: which parameters it asks for, what was typed, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from portal.inquiry import checks, fields, values
from portal.inquiry.checks import FieldErrors
from portal.inquiry.fields import Field
from portal.inquiry.subject import Subject
from portal.inquiry.values import Param, Value
from requests_queue.errors import FieldError


@dataclass
class InquiryForm:
    """A form of a request. What was typed stands in `given` until the request has it."""

    subject: Subject
    # The parameters that have been shown: none goes away because its error does.
    asked: set[str]
    given: dict[str, Value] = field(default_factory=dict)
    wrong: dict[str, FieldErrors] = field(default_factory=dict)
    # Sentences that are about no field of the form.
    said: list[str] = field(default_factory=list)
    # Whether it was sent, so that everything wrong with it is told, whoever has reached it.
    sent: bool = False
    # Whether the request has what was typed, and whether a validator has seen it.
    stored: bool = False
    validated: bool = False

    def params(self) -> list[Param]:
        """Return the parameters that are asked for: those shown before, and those marked since."""
        about = self.subject.product_rows
        shown = self.subject.open_params()
        found = [p for p in shown if p["id"] in self.asked or is_marked(p, about.get(p["id"]))]
        return found or shown

    def writable(self) -> list[Param]:
        """Return those of them that the customer may change."""
        return [param for param in self.params() if not values.is_on(param, "readonly")]

    def check(self) -> None:
        """Note what is wrong with what was typed, or with what the request has."""
        for param in self.writable():
            given = self.given.get(param["id"], values.current(param))
            if wrong := checks.check(param, given):
                self.wrong[param["id"]] = wrong

    def entries(self) -> list[dict[str, Any]]:
        """Return the values that were changed and are not wrong, as the API takes them."""
        return [
            values.entry(param, self.given[param["id"]])
            for param in self.writable()
            if param["id"] in self.given
            and param["id"] not in self.wrong
            and values.is_changed(param, self.given[param["id"]])
        ]

    def forget_stored(self) -> None:
        """Forget what was typed where the request has it now."""
        self.given = {pk: given for pk, given in self.given.items() if pk in self.wrong}

    def mute(self, reached: Iterable[str]) -> None:
        """Say nothing yet of what is wrong with fields that the customer hasn't come to."""
        keep = set(reached)
        self.wrong = {pk: wrong for pk, wrong in self.wrong.items() if pk in keep}

    def blocking(self) -> set[str]:
        """Return the parameters because of which the form can't go out.

        What was marked when the vendor inquired is none, until a validator says it again.
        """
        if self.wrong or not self.validated:
            return set(self.wrong)
        return {param["id"] for param in self.params() if values.error(param)}

    def refuse(self, errors: Iterable[FieldError]) -> None:
        """Note what the platform refused, at the field that an error is about."""
        ids = {param["id"] for param in self.params()}
        for error in errors:
            if error.entry in ids:
                self.wrong[error.entry] = {checks.WHOLE: error.message}
            else:
                self.said.append(str(error))

    def fields(self) -> list[Field]:
        """Return what the template shows."""
        about = self.subject.product_rows
        places = {param["id"]: n for n, param in enumerate(self.subject.row.params, 1)}
        return [
            fields.make(
                places[p["id"]], p, about.get(p["id"]), self.given.get(p["id"]),
                self.wrong.get(p["id"]),
            )
            for p in self.params()
        ]  # fmt: skip


def is_marked(param: Param, about: Any = None) -> bool:
    """Whether a parameter is asked for: said to be wrong, missing, or shown by a validator."""
    return bool(values.error(param)) or values.is_unanswered(param) or _is_opened(about)


def _is_opened(about: Any) -> bool:
    return about is not None and about.constraints.get("hidden") is True


def opened(subject: Subject) -> InquiryForm:
    """Return the form as a viewer of the link finds it."""
    form = InquiryForm(subject, set())
    form.asked = {param["id"] for param in form.params()}
    return form


def sent(subject: Subject, post: QueryDict) -> InquiryForm:
    """Return the form as it was sent, with what was typed into it."""
    allowed = {param["id"] for param in subject.open_params()}
    form = InquiryForm(subject, allowed.intersection(post.getlist("asked")))
    for param in form.writable():
        given = values.typed(param, post) if _was_there(param, form, post) else None
        if given is not None:
            form.given[param["id"]] = given
    return form


def _was_there(param: Param, form: InquiryForm, post: QueryDict) -> bool:
    # Boxes of which none is ticked send nothing.
    return param["type"] != "checkbox" or param["id"] in post.getlist("asked")


def rules(params: list[Param]) -> dict[str, Any]:
    """Return what may become different of a parameter besides its value, to compare by."""
    return {p["id"]: (p.get("constraints"), p.get("value_choices")) for p in params}
