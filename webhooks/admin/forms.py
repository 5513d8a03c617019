"""The admin's forms of a webhook, validated by `webhooks.validation_rules` as the API's bodies are.

They save nothing: the admin passes their `fields_of_webhook` to `webhooks.actions`.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, ClassVar

from django import forms

from requests_queue.api.json_field import JsonField
from requests_queue.catalog.models import Account, Product, User
from requests_queue.errors import FieldError, Invalid
from requests_queue.redaction import MASK
from webhooks import actions as webhook_actions
from webhooks import types, validation_rules
from webhooks.delivery.request import new_secret
from webhooks.http.headers import HeaderRefused, masked, unmasked
from webhooks.models import Webhook

# The fields of the section General.
GENERAL = [name for name in validation_rules.FIELDS if name not in webhook_actions.REQUEST_FIELDS]
# The form fields at which errors of other fields are shown.
SHOWN_AT = {"product_id": "product", "type": "kind", "object_class": "kind"}
SECRET = {"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}


def kinds() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the choices of webhook types, grouped by object class."""
    rows = sorted(types.registered(), key=lambda t: t.object_class)
    return [
        (
            object_class.replace("_", " ").capitalize(),
            [(f"{t.type}:{t.object_class}", t.label) for t in group],
        )
        for object_class, group in groupby(rows, key=lambda t: t.object_class)
    ]


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """The fields of a webhook that can be changed."""

    # The signed-in user; the admin sets it on the class that it creates for each request.
    user: ClassVar[User]
    # The name of the form field for `jwt_secret`.
    secret: ClassVar[str] = "new_secret"

    headers = JsonField(
        required=False,
        help_text='Sent with each request: {"X-Env": "lab"}. Token headers are reserved. '
        f"A value shown as {MASK} is not changed.",
    )
    data = JsonField(  # type: ignore[assignment]  # a form's class keeps its fields elsewhere
        label="Additional data",
        required=False,
        help_text="A JSON object, sent as `data` in the token and in the body (POST only).",
    )
    new_secret = forms.CharField(
        label="New JWT secret",
        required=False,
        widget=forms.TextInput(SECRET),
        help_text="Leave empty to keep the current secret.",
    )

    class Meta:
        model = Webhook
        fields = [name for name in validation_rules.FIELDS if name != "jwt_secret"]
        widgets: ClassVar[dict[str, Any]] = {
            "description": forms.Textarea({"class": "vLargeTextField", "rows": 3}),
            "external_url": forms.TextInput(
                {"class": "vTextField", "inputmode": "url", "spellcheck": "false"}
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["headers"] = masked(self.instance.headers)

    def clean_headers(self) -> dict[str, Any]:
        """Return the headers, with the stored values in place of masks."""
        try:
            return unmasked(self.cleaned_data["headers"], self.instance.headers)
        except HeaderRefused as refused:
            raise forms.ValidationError(str(refused)) from None

    def clean(self) -> dict[str, Any]:
        """Apply the rules to the valid fields, and add their errors to the form's fields."""
        super().clean()
        self.fields_of_webhook: dict[str, Any] = {}
        try:
            self.fields_of_webhook = self._check(self._body())
        except Invalid as refused:
            for error in refused.errors:
                self._show(error)
        return self.cleaned_data

    def _body(self) -> dict[str, Any]:
        names = {f.name for f in Webhook._meta.concrete_fields} - {"product", "account"}
        body = {name: value for name, value in self.cleaned_data.items() if name in names}
        if self.cleaned_data.get(self.secret):
            body["jwt_secret"] = self.cleaned_data[self.secret]
        return body

    def _check(self, body: dict[str, Any]) -> dict[str, Any]:
        return validation_rules.for_update(body, self.instance.type, self.instance.external_url)

    def _show(self, error: FieldError) -> None:
        name = error.path.partition(".")[0]
        name = self.secret if name == "jwt_secret" else SHOWN_AT.get(name, name)
        if name not in self.fields:
            self.add_error(None, str(error))
        elif name not in self.errors:
            self.add_error(name, error.message)


class NewWebhookForm(WebhookForm):
    """The fields of a new webhook, with its product, its type and a generated secret."""

    secret = "jwt_secret"

    account = forms.ModelChoiceField(Account.objects.all(), help_text="The owner of the webhook.")
    product = forms.ModelChoiceField(Product.objects.all(), help_text="Cannot be changed later.")
    kind = forms.ChoiceField(
        label="Type",
        choices=kinds,
        initial="event:fulfillment_request",
        help_text="Cannot be changed later. Validators are for vendors only.",
    )
    jwt_secret = forms.CharField(
        label="JWT secret",
        max_length=100,
        initial=new_secret,
        widget=forms.TextInput(SECRET),
        help_text="Keep the generated secret, or paste your own of 32 characters or more.",
    )
    new_secret = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.user.is_superuser or (account := self.user.account) is None:
            return
        del self.fields["account"]
        self.fields["product"].queryset = validation_rules.products(account)  # type: ignore[attr-defined]

    @property
    def account_of_webhook(self) -> Account | None:
        """Return the account that the webhook will belong to."""
        if "account" in self.fields:
            return self.cleaned_data.get("account")
        return self.user.account

    def _check(self, body: dict[str, Any]) -> dict[str, Any]:
        account = self.account_of_webhook
        type_, _, object_class = self.cleaned_data.get("kind", types.EVENT).partition(":")
        if account is None or not {"product", "kind"} <= self.cleaned_data.keys():
            # The form reports the missing fields already; the others are validated too.
            return validation_rules.for_update(body, type_)
        body |= {
            "product_id": self.cleaned_data["product"].pk,
            "type": type_,
            "object_class": object_class,
        }
        return validation_rules.for_create(body, account)
