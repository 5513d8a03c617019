"""Forms of a webhook: the steps of the wizard, three of which make up the page for editing.

`webhooks.validation_rules` validates them as it validates bodies of the API. They write nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from portal import header_rows
from requests_queue.api.json_field import JsonField
from requests_queue.catalog.models import Account, Product
from requests_queue.errors import Invalid
from webhooks import types, validation_rules
from webhooks.models import Webhook
from webhooks.types import WebhookType

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class StepForm(forms.Form):
    """Some fields of a webhook. A valid form has `fields_to_save`, as the rules return them."""

    required_css_class = "required"
    # The current URL of a webhook that is edited.
    stored_url = ""

    def __init__(self, data: QueryDict | None = None, *, type_: str = types.EVENT, **more: Any):
        super().__init__(data, **more)
        self.type_ = type_
        self.fields_to_save: dict[str, Any] = {}

    def clean(self) -> dict[str, Any]:
        """Apply the rules to the parsed fields; errors are added to their fields."""
        try:
            self.fields_to_save = validation_rules.for_update(
                self.body(), self.type_, self.stored_url
            )
        except Invalid as refused:
            for error in refused.errors:
                if (name := error.path) not in self.errors:
                    self.add_error(name if name in self.fields else None, error.message)
        return self.cleaned_data

    def body(self) -> dict[str, Any]:
        """Return what the rules validate."""
        return dict(self.cleaned_data)

    def hide_errors(self) -> None:
        """Show no errors yet."""
        self.full_clean()
        self.errors.clear()


class GeneralForm(StepForm):
    """Name, description, and whether the webhook is enabled."""

    label = forms.CharField(label="Name", max_length=100)
    description = forms.CharField(
        required=False, widget=forms.Textarea({"rows": 3, "class": "prose"})
    )
    active = forms.BooleanField(label="Enabled", required=False)

    def clean_description(self) -> str:
        """Return the text without the line ends of browsers."""
        return str(self.cleaned_data["description"]).replace("\r\n", "\n")


class ProductForm(StepForm):
    """The product of the webhook."""

    product = forms.CharField(error_messages={"required": "Select a product."})

    def __init__(self, *args: Any, account: Account, **more: Any) -> None:
        super().__init__(*args, **more)
        self.account = account

    def clean_product(self) -> Product:
        """Return the product if the account may have webhooks for it."""
        pk = self.cleaned_data["product"]
        product = validation_rules.products(self.account).filter(pk=pk).first()
        if product is None:
            raise forms.ValidationError(
                f"Product {pk} is not available to {self.account.name}. Select another product."
            )
        return product

    def clean(self) -> dict[str, Any]:
        """Take the product, which no other rule is about."""
        self.fields_to_save = dict(self.cleaned_data)
        return self.cleaned_data


class TypeForm(StepForm):
    """The type of the webhook, which must be available to the account and the product."""

    kind = forms.CharField(error_messages={"required": "Select a type."})

    def __init__(self, *args: Any, account: Account, product: Product | None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.account, self.product = account, product

    def clean_kind(self) -> WebhookType:
        type_, _, object_class = self.cleaned_data["kind"].partition(":")
        webhook_type = types.find(type_, object_class)
        if webhook_type is None:
            raise forms.ValidationError("Select a type.")
        if reason := validation_rules.why_unavailable(webhook_type, self.account, self.product):
            raise forms.ValidationError(reason)
        return webhook_type

    def clean(self) -> dict[str, Any]:
        """Take both fields of the type."""
        if kind := self.cleaned_data.get("kind"):
            self.fields_to_save = {"type": kind.type, "object_class": kind.object_class}
        return self.cleaned_data


class HttpForm(StepForm):
    """URL, method, secret and headers; `rows` are the headers, each with its error."""

    external_url = forms.CharField(
        label="Endpoint URL",
        widget=forms.TextInput(
            {**_PLAIN, "inputmode": "url", "placeholder": "https://example.com/webhooks/connect"}
        ),
        help_text="The URL of your handler.",
    )
    http_method = forms.ChoiceField(
        label="Method", choices=[("POST", "POST"), ("GET", "GET")], initial="POST"
    )
    jwt_secret = forms.CharField(
        label="JWT secret",
        widget=forms.TextInput({**_PLAIN, "class": "mono"}),
        help_text="Signs the token of each request (HS256); your handler needs it to verify the "
        "token. Keep the generated secret, or enter your own of at least 32 characters.",
    )
    headers = forms.Field(required=False)

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ):
        super().__init__(data, **more)
        self.stored = headers or {}
        self.rows = header_rows.stored(self.stored) if data is None else header_rows.typed(data)
        if self.type_ != types.EVENT:
            self.fields["http_method"].help_text = "Validators use POST."

    def clean_headers(self) -> dict[str, str]:
        """Return the headers, with stored values for masks; each row shows its own error."""
        return header_rows.check(self.rows, self.stored)

    def hide_errors(self) -> None:
        """Show no errors yet, neither of fields nor of headers."""
        super().hide_errors()
        for row in self.rows:
            row.error = ""


class DataForm(StepForm):
    """The JSON that is added to each token."""

    data = JsonField(  # type: ignore[assignment]  # a form's class keeps its fields elsewhere
        label="Arbitrary JSON object",
        required=False,
        widget=forms.Textarea({"rows": 12, "spellcheck": "false", "data-json": ""}),
        help_text="Added to the token and the request body as .data.",
    )


class EditHttpForm(HttpForm):
    """The same for an existing webhook, which keeps its secret unless a new one is entered."""

    jwt_secret = forms.CharField(
        label="New JWT secret",
        required=False,
        widget=forms.TextInput({**_PLAIN, "class": "mono"}),
        help_text="Leave empty to keep the current secret.",
    )

    def body(self) -> dict[str, Any]:
        """Return what the rules validate, without an empty secret."""
        return {k: v for k, v in self.cleaned_data.items() if k != "jwt_secret" or v}


class EditForm:
    """The page for editing: three steps of the wizard at once."""

    def __init__(self, row: Webhook, data: QueryDict | None = None) -> None:
        initial = {
            name: getattr(row, name)
            for name in validation_rules.FIELDS
            if name not in ("jwt_secret", "headers")
        }
        self.general = GeneralForm(data, initial=initial)
        self.http = EditHttpForm(data, initial=initial, headers=row.headers, type_=row.type)
        self.http.stored_url = row.external_url
        self.data = DataForm(data, initial=initial)
        self._steps: list[StepForm] = [self.general, self.http, self.data]

    @property
    def fields_to_save(self) -> dict[str, Any]:
        return {name: value for step in self._steps for name, value in step.fields_to_save.items()}

    def is_valid(self) -> bool:
        """Whether all steps are valid. All are validated, so that each shows its errors."""
        results = [step.is_valid() for step in self._steps]
        return all(results)

    def hide_errors(self) -> None:
        """Show no errors yet."""
        for step in self._steps:
            step.hide_errors()
