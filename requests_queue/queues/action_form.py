"""The form of a move: a few fields that a person fills in, and the body that the API would take.

The rules stay in the queue's declaration and in `transitions`: a form here only puts a body
together, and what is refused comes back as a sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

from django import forms

from requests_queue import clock
from requests_queue.catalog.admin_show import moment
from requests_queue.catalog.models import Template
from requests_queue.json_field import JsonField
from requests_queue.queues.base import Queue

# The fields that a move has, besides a body, where the queue's objects have such a column.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "approve": ("template_id", "effective_date"),
    "inquire": ("template_id",),
    "fail": ("reason",),
    "revoke": ("reason",),
    "ignore": ("reason",),
    "schedule": ("planned_date",),
    "accept": ("acceptance_note",),
    "reject": ("rejection_note",),
}


def fields_of(queue: Queue, name: str) -> tuple[str, ...]:
    """Return the fields that the move's form has besides the body."""
    columns = {f.name for f in queue.model._meta.get_fields()}
    return tuple(f for f in FIELDS.get(name, ()) if f.removesuffix("_id") in columns)


class ActionForm(forms.Form):
    """The body of a move, from a few friendly fields and JSON for all the rest."""

    reason = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    acceptance_note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    rejection_note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    template_id = forms.ChoiceField(label="Template", required=False)
    planned_date = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    effective_date = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="UTC; empty: now.",
    )
    body = JsonField(
        required=False,
        label="Body (JSON)",
        help_text="What else the API's call of this name takes; fields above win.",
    )

    def __init__(
        self, queue: Queue, name: str, products: Collection[str], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        shown = {*fields_of(queue, name), "body"}
        for field in self.fields.keys() - shown:
            del self.fields[field]
        self.fields["body"].widget.attrs["rows"] = 2
        if "template_id" in self.fields:
            self.fields["template_id"].choices = _templates(products)  # type: ignore[attr-defined]
        if "planned_date" in self.fields:
            self.fields["planned_date"].help_text = f"UTC; it is now {moment(clock.now())}."

    def action_data(self) -> dict[str, Any]:
        """Return the body of the move, in the forms that the API takes."""
        data: dict[str, Any] = dict(self.cleaned_data["body"])
        for name, value in self.cleaned_data.items():
            if name == "body" or value in (None, ""):
                continue
            data[name] = value.astimezone(UTC).isoformat() if name.endswith("_date") else value
        if "template_id" in data:
            # Tier configuration requests name their template so.
            data.setdefault("template", {"id": data["template_id"]})
        return data


def _templates(products: Collection[str]) -> list[tuple[str, str]]:
    rows = Template.objects.filter(product__in=products)
    return [("", "The product's default"), *((row.pk, str(row)) for row in rows)]
