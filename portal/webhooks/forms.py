"""The forms of a webhook: its wizard's steps, of which three make the page of an edit.

Each is checked by `webhooks.validation_rules`, as the API's bodies are, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from portal.webhooks import header_rows
from portal.webhooks.header_rows import HeaderRow
from requests_queue.catalog.models import Account, Product
from requests_queue.errors import Invalid
from requests_queue.json_field import JsonField
from webhooks import types, validation_rules
from webhooks.http.headers import HeaderRefused
from webhooks.models import Webhook
from webhooks.types import WebhookType

METHODS = [("POST", "POST"), ("GET", "GET")]
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class StepForm(forms.Form):
    """Some fields of a webhook; once they are valid, `found` has them as the rules return them."""

    required_css_class = "required"

    # The URL that the webhook has; a new one has none.
    stored_url = ""

    def __init__(self, data: QueryDict | None = None, *, type_: str = types.EVENT, **more: Any):
        super().__init__(data, **more)
        self.type_ = type_
        self.found: dict[str, Any] = {}

    def clean(self) -> dict[str, Any]:
        """Apply the rules to what each field could read; their errors go to the fields."""
        try:
            self.found = validation_rules.for_update(self.body(), self.type_, self.stored_url)
        except Invalid as refused:
            for error in refused.errors:
                if (name := error.path) not in self.errors:
                    self.add_error(name if name in self.fields else None, error.message)
        return self.cleaned_data

    def body(self) -> dict[str, Any]:
        """Return what the rules check."""
        return dict(self.cleaned_data)

    def forget_errors(self) -> None:
        """Say nothing yet of what is wrong with what was typed."""
        self.full_clean()
        self.errors.clear()


class GeneralForm(StepForm):
    """Name, description, and whether it is enabled."""

    label = forms.CharField(label="Name", max_length=100)
    description = forms.CharField(
        required=False, widget=forms.Textarea({"rows": 3, "class": "prose"})
    )
    active = forms.BooleanField(label="Enabled", required=False)

    def clean_description(self) -> str:
        """Return the text with ends of lines that are no browser's."""
        return str(self.cleaned_data["description"]).replace("\r\n", "\n")


class ProductForm(StepForm):
    """The one product that the webhook is for."""

    product = forms.CharField(error_messages={"required": "Choose a product."})

    def __init__(self, *args: Any, account: Account, **more: Any) -> None:
        super().__init__(*args, **more)
        self.account = account

    def clean_product(self) -> Product:
        """Return the product, if the account may have webhooks for it."""
        pk = self.cleaned_data["product"]
        found = validation_rules.products(self.account).filter(pk=pk).first()
        if found is None:
            raise forms.ValidationError(
                f"{self.account.name} has no product {pk} any more: choose another one."
            )
        return found

    def clean(self) -> dict[str, Any]:
        """Take the product: no other rule is about it."""
        self.found = dict(self.cleaned_data)
        return self.cleaned_data


class TypeForm(StepForm):
    """What the webhook is called for: a type that the account and the product can have."""

    kind = forms.CharField(error_messages={"required": "Choose a type."})

    def __init__(self, *args: Any, account: Account, product: Product | None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.account, self.product = account, product

    def clean_kind(self) -> WebhookType:
        """Return the type."""
        type_, _, object_class = self.cleaned_data["kind"].partition(":")
        found = types.find(type_, object_class)
        if found is None:
            raise forms.ValidationError("Choose a type.")
        if lacking := validation_rules.why_unavailable(found, self.account, self.product):
            raise forms.ValidationError(lacking)
        return found

    def clean(self) -> dict[str, Any]:
        """Take the two names of the type."""
        if kind := self.cleaned_data.get("kind"):
            self.found = {"type": kind.type, "object_class": kind.object_class}
        return self.cleaned_data


class HttpForm(StepForm):
    """How the handler is called. `rows` are the headers, each with its error."""

    external_url = forms.CharField(
        label="Endpoint URL",
        widget=forms.TextInput(
            {**_PLAIN, "inputmode": "url", "placeholder": "https://example.com/webhooks/connect"}
        ),
        help_text="Where your handler accepts the calls.",
    )
    http_method = forms.ChoiceField(label="Method", choices=METHODS, initial="POST")
    jwt_secret = forms.CharField(
        label="JWT secret",
        widget=forms.TextInput({**_PLAIN, "class": "mono"}),
        help_text="It signs each call's token (HS256); give it to your handler, which checks the "
        "token with it. Keep the one made for you, or paste your own of 32 characters or more.",
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
        self.rows: Sequence[HeaderRow]
        self.rows = header_rows.stored(self.stored) if data is None else header_rows.typed(data)
        if self.type_ != types.EVENT:
            self.fields["http_method"].help_text = "A validator is called by POST."

    def clean_headers(self) -> dict[str, str]:
        """Return the headers; each row tells its own error."""
        try:
            found = header_rows.check(self.rows, self.stored)
        except HeaderRefused as refused:
            raise forms.ValidationError(str(refused)) from None
        if wrong := sum(bool(row.error) for row in self.rows):
            raise forms.ValidationError(
                "One header needs another look." if wrong == 1 else
                f"{wrong} headers need another look."
            )  # fmt: skip
        return found

    def forget_errors(self) -> None:
        """Say nothing yet of what is wrong with what was typed."""
        super().forget_errors()
        for row in self.rows:
            row.error = ""


class DataForm(StepForm):
    """What is appended to each token."""

    data = JsonField(  # type: ignore[assignment]  # a form's class keeps its fields elsewhere
        label="Arbitrary JSON object",
        required=False,
        widget=forms.Textarea({"rows": 12, "spellcheck": "false", "data-json": ""}),
        help_text="Will be appended to the token as .data property, and to the body of the call.",
    )


class EditHttpForm(HttpForm):
    """The same for a webhook that has a secret already: it keeps it unless a new one is given."""

    jwt_secret = forms.CharField(
        label="New JWT secret",
        required=False,
        widget=forms.TextInput({**_PLAIN, "class": "mono"}),
        help_text="Leave it empty to keep the secret that the webhook has.",
    )

    def body(self) -> dict[str, Any]:
        """Return what the rules check, without a secret that wasn't given."""
        return {k: v for k, v in self.cleaned_data.items() if k != "jwt_secret" or v}


class EditForm:
    """The page of an edit: three steps of the wizard at once."""

    def __init__(self, row: Webhook, data: QueryDict | None = None) -> None:
        initial = {
            name: getattr(row, name)
            for name in ("label", "description", "active", "external_url", "http_method", "data")
        }
        self.general = GeneralForm(data, initial=initial)
        self.http = EditHttpForm(data, initial=initial, headers=row.headers, type_=row.type)
        self.http.stored_url = row.external_url
        self.data = DataForm(data, initial=initial)
        self._parts: list[StepForm] = [self.general, self.http, self.data]

    @property
    def found(self) -> dict[str, Any]:
        """Return all fields that were sent; of a form that is valid."""
        return {name: value for part in self._parts for name, value in part.found.items()}

    def is_valid(self) -> bool:
        """Whether nothing is wrong with any part: each is looked at, so that each tells."""
        valid = [part.is_valid() for part in self._parts]
        return all(valid)

    def forget_errors(self) -> None:
        """Say nothing yet of what is wrong with what was typed."""
        for part in self._parts:
            part.forget_errors()
