"""The form of an action in admin and portal, which builds the body of the API's request.

Its fields come from the declaration of the action's body. The form checks no rules: the queue's
declaration and `transitions` do, and their errors are shown as messages.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC
from typing import Any

from django import forms

from requests_queue import clock
from requests_queue.api.fields import Date, Input, Integer, Text
from requests_queue.api.json_field import JsonField
from requests_queue.catalog.admin_show import moment
from requests_queue.catalog.inputs import ReasonInput
from requests_queue.catalog.models import Template
from requests_queue.queues.base import Queue

TEMPLATE = "template_id"
# The dates that an action takes without one.
_DEFAULTS = {"effective_date": "now"}


def fields_of(queue: Queue, name: str) -> dict[str, Any]:
    """Return the fields of an action's form besides the body, and their declarations.

    They are the texts, dates, numbers and the template of the action's body that the object stores.
    """
    columns = {f.name for f in queue.model._meta.get_fields()}
    fields: dict[str, Any] = {}
    for action in queue.by_name.get(name, ()):
        for key, field in action.body.fields.items() if action.body is not None else ():
            if isinstance(field, Text | Date | Integer) and key.removesuffix("_id") in columns:
                fields[key] = field
            elif isinstance(field, Input) and key == "template":
                fields[TEMPLATE] = field
    return fields


def _form_field(name: str, declaration: Any, products: Collection[str]) -> forms.Field:
    if name == TEMPLATE:
        rows = Template.objects.filter(product__in=products)
        choices = [("", "The product's default"), *((row.pk, str(row)) for row in rows)]
        return forms.ChoiceField(label="Template", required=False, choices=choices)
    if isinstance(declaration, Integer):
        low, high = declaration.low, declaration.high
        return forms.IntegerField(
            required=False, min_value=low, max_value=high, help_text=f"{low} to {high}."
        )
    if isinstance(declaration, Date):
        default = _DEFAULTS.get(name)
        hint = f"Default: {default}." if default else f"Now: {moment(clock.now())}."
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
        return forms.DateTimeField(required=False, widget=widget, help_text=f"UTC. {hint}")
    return forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))


class ActionForm(forms.Form):
    """The body of an action: fields for common values, and JSON for all others."""

    body = JsonField(
        required=False,
        label="Body (JSON)",
        help_text="Other values of the API's action. The fields above take precedence.",
    )

    def __init__(
        self, queue: Queue, name: str, products: Collection[str], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["body"].widget.attrs["rows"] = 2
        for key, declaration in fields_of(queue, name).items():
            self.fields[key] = _form_field(key, declaration, products)
        self.order_fields([key for key in self.fields if key != "body"])
        if any(isinstance(one.body, ReasonInput) for one in queue.by_name.get(name, ())):
            # Shown as required only: the reason can be in `body`, and the queue checks both.
            self.fields["reason"].widget.is_required = True

    def action_data(self) -> dict[str, Any]:
        """Return the body of the action in the API's form."""
        data: dict[str, Any] = dict(self.cleaned_data["body"])
        for name, value in self.cleaned_data.items():
            if name == "body" or value in (None, ""):
                continue
            data[name] = value.astimezone(UTC).isoformat() if name.endswith("_date") else value
        if TEMPLATE in data:
            # Tier configuration requests have `template: {id}` instead of `template_id`.
            data.setdefault("template", {"id": data[TEMPLATE]})
        return data
