"""The form that sends an attempt again with changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.http import QueryDict

from portal import header_rows
from portal.deliveries.presets import PRESETS
from requests_queue.api.json_field import JsonField
from requests_queue.errors import FieldError, Invalid
from webhooks import validation_rules
from webhooks.delivery import resend
from webhooks.delivery.request import ResendOverride
from webhooks.models import Attempt, Delivery
from webhooks.types import EVENT

# A token that has expired already is a useful test; this limits `exp` to reasonable dates.
MAX_TIMEOUT = 366 * 24 * 3600
_PLAIN = {"spellcheck": "false", "autocomplete": "off"}


class ChangesForm(forms.Form):
    """What may be changed in a resend.

    `rows` are the headers, each with its error.
    """

    required_css_class = "required"

    external_url = forms.CharField(
        label="URL",
        help_text="For this attempt only. The token is sent there, so a webhook's rules apply.",
        widget=forms.TextInput({**_PLAIN, "inputmode": "url"}),
    )
    http_method = forms.ChoiceField(label="Method", choices=[("POST", "POST"), ("GET", "GET")])
    preset = forms.ChoiceField(label="Preset", required=False, widget=forms.RadioSelect)
    headers = forms.Field(required=False)
    content = JsonField(
        required=False, widget=forms.Textarea({**_PLAIN, "rows": 18, "data-json": ""})
    )

    def __init__(
        self, attempt: Attempt, sent: ResendOverride, data: QueryDict | None = None
    ) -> None:
        initial = {
            "external_url": sent.url,
            "http_method": sent.method,
            "preset": sent.preset,
            "content": sent_content(sent),
        }
        super().__init__(data, initial=initial)
        self.stored = sent.headers
        self.rows = header_rows.stored(sent.headers) if data is None else header_rows.typed(data)
        self._type, self._url = attempt.webhook.type, sent.url
        content = self.fields["content"]
        content.label = "Object" if sent.body else "Payload"
        content.help_text = (
            "The body. The token keeps its claims and is signed again."
            if sent.body
            else "The claims of the token, and the body of a POST. triggered_at becomes the time "
            "of the request; the token expires processing_timeout seconds later. With GET, data "
            "is empty."
        )
        if self._type != EVENT:
            self._choose("http_method", [("POST", "POST")])
        if PRESETS:
            presets = [(each.name, f"{each.label}: {each.text}") for each in PRESETS]
            self._choose("preset", [("", "Nothing"), *presets])
        else:
            del self.fields["preset"]

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field: Any = self.fields[name]
        field.choices = choices

    def clean_headers(self) -> dict[str, str]:
        """Return the headers, with stored values for masks; each row shows its own error."""
        return header_rows.check(self.rows, self.stored)

    def clean(self) -> dict[str, Any]:
        """Apply the rules to the parsed fields; errors are added to their fields."""
        super().clean()
        try:
            self.cleaned_data |= check_changes(self.cleaned_data, self._type, self._url)
        except Invalid as refused:
            for error in refused.errors:
                self.add_error(error.path.partition(".")[0], error.message)
        return self.cleaned_data

    def hide_errors(self) -> None:
        """Show no errors yet."""
        self.full_clean()
        self.errors.clear()
        for row in self.rows:
            row.error = ""


def check_changes(changes: Mapping[str, Any], type_: str, url: str) -> dict[str, Any]:
    """Return the changes as they will be sent; raises Invalid with all errors at once.

    The rules are those of a webhook's fields; errors of the content are reported at `content`.
    `url` is the one that was called before.
    """
    errors: list[FieldError] = []
    columns: dict[str, Any] = {}
    try:
        columns = validation_rules.for_update(changes, type_, url)
    except Invalid as refused:
        errors += refused.errors
    if "content" in changes:
        errors += _content_errors(changes["content"], type_)
    if errors:
        raise Invalid.of(errors)
    return {**changes, **columns}


def _content_errors(content: Any, type_: str) -> list[FieldError]:
    try:
        validation_rules.for_update({"data": content}, type_)
    except Invalid as refused:
        return [replace(error, path="content") for error in refused.errors]
    seconds = content.get("processing_timeout", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or abs(seconds) > MAX_TIMEOUT:
        message = (
            "processing_timeout must be a whole number of seconds, a year at most: the token "
            "expires by it. A negative one makes a token that has expired already."
        )
        return [FieldError("content", message)]
    return []


def send_changed(attempt: Attempt, changes: Mapping[str, Any]) -> Delivery:
    """Send an attempt again with validated changes; raises what `resend.create_resend` does."""
    changed = with_changes(resend.sent_request(attempt), changes)
    return resend.create_resend(attempt, changed, changes)


def with_changes(sent: ResendOverride, changes: Mapping[str, Any]) -> ResendOverride:
    """Return it with other `external_url`, `http_method`, `headers`, `content` or `preset`."""
    content = changes.get("content", sent_content(sent))
    changed = replace(
        sent,
        url=changes.get("external_url", sent.url),
        method=changes.get("http_method", sent.method),
        headers=dict(changes.get("headers", sent.headers)),
        preset=changes.get("preset", sent.preset),
    )
    # Compare as JSON: `1 == True` in Python, and dict equality ignores key order.
    is_changed = json.dumps(content) != json.dumps(sent_content(sent))
    if is_changed and sent.body:
        changed = replace(changed, body=json.dumps(content, ensure_ascii=False))
    elif is_changed:
        timeout = content.get("processing_timeout", sent.payload["processing_timeout"])
        # Without `exp`, which follows from `triggered_at` and `processing_timeout`.
        payload = {k: v for k, v in content.items() if k != "exp"}
        changed = replace(changed, payload={**payload, "processing_timeout": timeout})
    if changed.method == "GET" and not changed.body:
        # A GET has no body, so it has no additional data either.
        changed = replace(changed, payload={**changed.payload, "data": {}})
    return changed


def sent_content(sent: ResendOverride) -> Any:
    """Return what the handler reads: the payload, or the object that a validator is sent."""
    return json.loads(sent.body) if sent.body else sent.payload
