"""What the handlers that are broken on purpose know of the platform."""

from __future__ import annotations

from dataclasses import fields

from tests.checks.handlers import broken_payloads, broken_tokens
from webhooks.delivery.request import WebhookPayload


def test_handlers_that_refuse_what_they_dont_know_know_all_fields_of_a_payload() -> None:
    names = {each.name for each in fields(WebhookPayload)}
    assert names == broken_payloads.KNOWN
    assert names | {"exp"} == broken_tokens.KNOWN
