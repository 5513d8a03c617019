"""The admin's form of an action, which builds the body of the API's request.

The form checks no rules: the queue's declaration and `transitions` do, and their errors are
shown as messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

from django import forms

from requests_queue import clock
from requests_queue.catalog.admin_show import moment
from requests_queue.catalog.inputs import ReasonInput
from requests_queue.catalog.models import Template
from requests_queue.json_field import JsonField
from requests_queue.queues.base import Queue

# Form fields of an action besides the body, where the queue's model has such a column.
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
    """Return the fields of an action's form besides the body."""
    columns = {f.name for f in queue.model._meta.get_fields()}
    return tuple(f for f in FIELDS.get(name, ()) if f.removesuffix("_id") in columns)


class ActionForm(forms.Form):
    """The body of an action: fields for common values, and JSON for all others."""

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
        help_text="UTC. Default: now.",
    )
    body = JsonField(
        required=False,
        label="Body (JSON)",
        help_text="Other values of the API's action. The fields above take precedence.",
    )

    def __init__(
        self, queue: Queue, name: str, products: Collection[str], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        shown = {*fields_of(queue, name), "body"}
        for field in self.fields.keys() - shown:
            del self.fields[field]
        self.fields["body"].widget.attrs["rows"] = 2
        if any(isinstance(one.body, ReasonInput) for one in queue.by_name.get(name, ())):
            # Shown as required only: the reason can be in `body`, and the queue checks both.
            self.fields["reason"].widget.is_required = True
        if "template_id" in self.fields:
            rows = Template.objects.filter(product__in=products)
            self.fields["template_id"].choices = [  # type: ignore[attr-defined]
                ("", "The product's default"),
                *((row.pk, str(row)) for row in rows),
            ]
        if "planned_date" in self.fields:
            self.fields["planned_date"].help_text = f"UTC. Now: {moment(clock.now())}."

    def action_data(self) -> dict[str, Any]:
        """Return the body of the action in the API's form."""
        data: dict[str, Any] = dict(self.cleaned_data["body"])
        for name, value in self.cleaned_data.items():
            if name == "body" or value in (None, ""):
                continue
            data[name] = value.astimezone(UTC).isoformat() if name.endswith("_date") else value
        if "template_id" in data:
            # Tier configuration requests have `template: {id}` instead of `template_id`.
            data.setdefault("template", {"id": data["template_id"]})
        return data
