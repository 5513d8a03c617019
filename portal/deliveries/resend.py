"""Resending an attempt: the form for changes, and the attempt as a curl command."""

from __future__ import annotations

import shlex
import uuid
from typing import Any

from django import forms
from django.http import Http404

from requests_queue import clock
from requests_queue.errors import Invalid, Refused
from requests_queue.json_field import JsonField
from webhooks.delivery import claims, resend
from webhooks.delivery.in_flight import ClaimedDelivery, ResendOverride, prepare, with_resend
from webhooks.delivery.request import SecretRefused
from webhooks.http.client import Request
from webhooks.http.headers import MASK, HeaderRefused, masked, unmasked
from webhooks.models import Attempt
from webhooks.types import EVENT

_PLAIN = {"spellcheck": "false", "autocomplete": "off"}


class ChangesForm(forms.Form):
    """What may be changed in a resend, validated by `webhooks.delivery.resend`."""

    external_url = forms.CharField(
        label="URL",
        help_text="For this attempt only. The token is sent there, so a webhook's rules apply.",
        widget=forms.TextInput({**_PLAIN, "inputmode": "url"}),
    )
    http_method = forms.ChoiceField(label="Method", choices=[("POST", "POST"), ("GET", "GET")])
    headers = JsonField(
        required=False,
        help_text='As JSON: {"X-Env": "lab"}. Auth and connection headers are added. A value '
        f"shown as {MASK} is sent unchanged.",
        widget=forms.Textarea({**_PLAIN, "rows": 4}),
    )
    content = JsonField(required=False, widget=forms.Textarea({**_PLAIN, "rows": 18}))

    def __init__(self, attempt: Attempt, sent: ResendOverride, data: Any = None) -> None:
        initial = {
            "external_url": sent.url, "http_method": sent.method, "headers": masked(sent.headers),
            "content": resend.content_of(sent),
        }  # fmt: skip
        super().__init__(data, initial=initial)
        self._type, self._sent = attempt.webhook.type, sent
        content = self.fields["content"]
        content.label = "Object" if sent.body else "Payload"
        content.help_text = (
            "The body. The token keeps its claims and is signed again."
            if sent.body
            else "The claims of the token, and the body of a POST. triggered_at becomes the time "
            "of the request; the token expires processing_timeout seconds later (use a negative "
            "number to send an expired token). With GET, data is empty."
        )
        if self._type != EVENT:
            self.fields["http_method"].choices = [("POST", "POST")]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Apply the rules to the parsed fields; errors are added to their fields."""
        super().clean()
        try:
            if "headers" in self.cleaned_data:
                headers = self.cleaned_data["headers"]
                self.cleaned_data["headers"] = unmasked(headers, self._sent.headers)
            resend.check_changes(self.cleaned_data, self._type, self._sent.url)
        except HeaderRefused as refused:
            self.add_error("headers", str(refused))
        except Invalid as refused:
            for error in refused.errors:
                self.add_error(error.path.partition(".")[0], error.message)
        return self.cleaned_data


def curl(attempt: Attempt) -> str:
    """Return a command that sends the attempt again, with a new token.

    Raises Refused if the request was not recorded or the secret cannot sign, and Http404.
    """
    row = claims.load_webhooks({attempt.webhook_id}).get(attempt.webhook_id)
    if row is None:
        raise Http404
    claimed = ClaimedDelivery(attempt.delivery_id, uuid.uuid4(), 1, True, clock.now(), row)
    try:
        request = prepare(with_resend(claimed, resend.sent_request(attempt))).request
    except SecretRefused as refused:
        raise Refused("WH_003", str(refused)) from None
    return _as_command(request)


def _as_command(request: Request) -> str:
    parts = [f"curl --globoff --include --request {request.method} {shlex.quote(request.url)}"]
    for name, value in request.headers.items():
        # curl sends an empty header only if it ends with a semicolon.
        parts.append(f"--header {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if request.body is not None:
        parts.append(f"--data-raw {shlex.quote(request.body.decode())}")
    return " \\\n  ".join(parts)
