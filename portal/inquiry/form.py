"""The inquiring form: the request of its link, the parameters shown, typed values, and errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import QueryDict
from django.utils.crypto import constant_time_compare

from portal.inquiry import checks, fields, values
from portal.inquiry.checks import FieldErrors
from portal.inquiry.fields import Field
from portal.inquiry.values import Param, Value
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Parameter
from requests_queue.errors import FieldError
from requests_queue.queues import base, customer_texts, validation
from requests_queue.queues.base import Queue
from requests_queue.queues.validation import Validated

_ID = re.compile(r"[A-Z]{2,4}-[0-9-]{1,36}")


@dataclass
class Subject:
    """A request and the parameters that a customer or a reseller answers."""

    queue: Queue
    about: Validated
    row: Any

    @property
    def actor(self) -> Actor:
        """The actor for the customer: the distributor, without a user."""
        return Actor(None, self.row.provider)

    @property
    def is_open(self) -> bool:
        """Whether the request waits for answers."""
        return bool(self.row.status == "inquiring")

    def open_params(self) -> list[Param]:
        """Return the parameters that the customer may see."""
        return [param for param in self.row.params if values.is_open(param)]

    def facts(self) -> list[tuple[str, str]]:
        """Return facts about the request as (label, text)."""
        row = self.row
        return [
            ("Request", row.pk),
            ("Type", str(row.type).capitalize()),
            ("Product", row.product.name),
            ("Vendor", row.vendor.name),
            *self.about.customers(row),
        ]

    def closed(self) -> dict[str, str]:
        """Return what to show for a request that does not wait for answers."""
        row = self.row
        customer = self.queue.status(row.status).customer or customer_texts.OTHER
        return {
            "status": row.status,
            "heading": customer.title,
            "sentence": customer.text.format(vendor=row.vendor.name),
            "reason": row.reason if customer.with_reason else "",
            "tone": customer.tone or "plain",
        }

    @cached_property
    def text(self) -> str:
        """The vendor's text for the request in its status, as Markdown."""
        return self.about.text(self.about.get(self.row.pk))

    @cached_property
    def product_rows(self) -> dict[str, Parameter]:
        """The product's parameters by the ids that they have in requests."""
        names = [param["id"] for param in self.row.params]
        rows = Parameter.objects.filter(product=self.row.product_id, name__in=names)
        return {row.name: row for row in rows}


def find(pk: str, codes: list[str]) -> Subject | None:
    """Return the request of a link; None for an unknown request or a wrong code."""
    if not _ID.fullmatch(pk) or len(codes) != 1 or not codes[0].isascii():
        return None
    found = base.find_object(pk)
    if found is None:
        return None
    queue, row = found
    about = validation.find(queue.object_class)
    code = getattr(row, "form_code", "")
    if about is None or not code or not constant_time_compare(codes[0], code):
        return None
    return Subject(queue, about, row)


@dataclass
class InquiryForm:
    """The form of a request; `typed` are the values that are not stored yet."""

    subject: Subject
    # The parameters that have been shown: they stay when their error is corrected.
    shown_ids: set[str]
    typed: dict[str, Value] = field(default_factory=dict)
    errors: dict[str, FieldErrors] = field(default_factory=dict)
    # Errors of no field.
    other_errors: list[str] = field(default_factory=list)
    # Whether it was submitted, so that all errors are shown.
    submitted: bool = False
    # Whether the typed values were stored, and whether a validator has checked them.
    stored: bool = False
    validated: bool = False

    def params(self) -> list[Param]:
        """Return the parameters to show: those shown before and those that need an answer."""
        rows = self.subject.product_rows
        visible = self.subject.open_params()
        shown = [
            p for p in visible if p["id"] in self.shown_ids or needs_answer(p, rows.get(p["id"]))
        ]
        return shown or visible

    def writable(self) -> list[Param]:
        """Return the shown parameters that the customer may change."""
        return [param for param in self.params() if not values.is_on(param, "readonly")]

    def check(self) -> None:
        """Check the typed or stored values and keep the errors."""
        for param in self.writable():
            value = self.typed.get(param["id"], values.current(param))
            if errors := checks.check(param, value):
                self.errors[param["id"]] = errors

    def entries(self) -> list[dict[str, Any]]:
        """Return the changed values without errors for the API."""
        return [
            values.entry(param, self.typed[param["id"]])
            for param in self.writable()
            if param["id"] in self.typed
            and param["id"] not in self.errors
            and values.is_changed(param, self.typed[param["id"]])
        ]

    def keep_unstored(self) -> None:
        """Keep only typed values with errors: the others are stored."""
        self.typed = {pk: value for pk, value in self.typed.items() if pk in self.errors}

    def show_errors_of(self, reached: Iterable[str]) -> None:
        """Hide errors of fields that the customer has not reached yet."""
        ids = set(reached)
        self.errors = {pk: errors for pk, errors in self.errors.items() if pk in ids}

    def blocking(self) -> set[str]:
        """Return the parameters that prevent submitting.

        Errors that the vendor set with the inquiry don't, until a validator repeats them.
        """
        if self.errors or not self.validated:
            return set(self.errors)
        return {param["id"] for param in self.params() if values.error(param)}

    def refuse(self, errors: Iterable[FieldError]) -> None:
        """Keep errors of the platform, at their field where they have one."""
        ids = {param["id"] for param in self.params()}
        for error in errors:
            if error.entry in ids:
                self.errors[error.entry] = {checks.WHOLE: error.message}
            else:
                self.other_errors.append(str(error))

    def fields(self) -> list[Field]:
        """Return what the template shows."""
        rows = self.subject.product_rows
        numbers = {param["id"]: n for n, param in enumerate(self.subject.row.params, 1)}
        return [
            fields.make(numbers[pk], p, rows.get(pk), self.typed.get(pk), self.errors.get(pk))
            for p in self.params()
            for pk in (p["id"],)
        ]


def needs_answer(param: Param, row: Any = None) -> bool:
    """Whether a parameter has an error, lacks a required value, or was shown by a validator."""
    is_revealed = row is not None and row.constraints.get("hidden") is True
    return bool(values.error(param)) or values.is_unanswered(param) or is_revealed


def opened(subject: Subject) -> InquiryForm:
    """Return the form as its link shows it."""
    form = InquiryForm(subject, set())
    form.shown_ids = {param["id"] for param in form.params()}
    return form


def submitted(subject: Subject, post: QueryDict) -> InquiryForm:
    """Return the form with its submitted values."""
    visible = {param["id"] for param in subject.open_params()}
    form = InquiryForm(subject, visible.intersection(post.getlist("shown")))
    for param in form.writable():
        # A browser sends nothing for a group of boxes without a selected one.
        if param["type"] == "checkbox" and param["id"] not in post.getlist("shown"):
            continue
        value = values.typed(param, post)
        if value is not None:
            form.typed[param["id"]] = value
    return form


def rules(params: list[Param]) -> dict[str, Any]:
    """Return what a validator may change besides values: constraints and choices."""
    return {p["id"]: (p.get("constraints"), p.get("value_choices")) for p in params}
