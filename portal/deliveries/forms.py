"""The form of a resend with changes, validated by `webhooks.delivery.resend`."""

from __future__ import annotations

from typing import Any

from django import forms

from requests_queue.errors import Invalid
from requests_queue.json_field import JsonField
from webhooks.delivery import resend
from webhooks.delivery.in_flight import ResendOverride
from webhooks.http.headers import MASK, HeaderRefused, masked, unmasked
from webhooks.models import Attempt
from webhooks.types import EVENT

_JSON = {"spellcheck": "false", "autocomplete": "off"}


class ChangesForm(forms.Form):
    """What may be otherwise in one call: where it goes, how, and what it says."""

    external_url = forms.CharField(
        label="URL",
        help_text="For this call only, by the same rules as a webhook's: the token goes there.",
        widget=forms.TextInput({"inputmode": "url", "spellcheck": "false", "autocomplete": "off"}),
    )
    http_method = forms.ChoiceField(label="Method", choices=[("POST", "POST"), ("GET", "GET")])
    headers = JsonField(
        required=False,
        help_text='As JSON: {"X-Env": "lab"}. The token, and what HTTP itself needs, are added. A '
        f"value shown as {MASK} is sent as it was.",
        widget=forms.Textarea({**_JSON, "rows": 4}),
    )
    content = JsonField(required=False, widget=forms.Textarea({**_JSON, "rows": 18}))

    def __init__(self, attempt: Attempt, sent: ResendOverride, data: Any = None) -> None:
        initial = {
            "external_url": sent.url, "http_method": sent.method, "headers": masked(sent.headers),
            "content": resend.content_of(sent),
        }  # fmt: skip
        super().__init__(data, initial=initial)
        self._type, self._url = attempt.webhook.type, sent.url
        self._sent_headers = sent.headers
        content = self.fields["content"]
        content.label = "Object" if sent.body else "Payload"
        content.help_text = (
            "What the body says. The token says what it said before, signed afresh."
            if sent.body
            else "What the token says, and the body of a POST. triggered_at becomes the moment of "
            "the call, and the token expires processing_timeout seconds later (a negative number "
            "sends one that has expired). With GET, data is empty."
        )
        if self._type != EVENT:
            self.fields["http_method"].choices = [("POST", "POST")]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Apply the rules to what each field could read; their errors go to the fields."""
        super().clean()
        try:
            if "headers" in self.cleaned_data:
                given = self.cleaned_data["headers"]
                self.cleaned_data["headers"] = unmasked(given, self._sent_headers)
            resend.check_changes(self.cleaned_data, self._type, self._url)
        except HeaderRefused as refused:
            self.add_error("headers", str(refused))
        except Invalid as refused:
            for error in refused.errors:
                self.add_error(error.path.partition(".")[0], error.message)
        return self.cleaned_data
