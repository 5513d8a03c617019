"""Secrets that a handler repeats are in no attempt, message, response of the API or log."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from requests_queue.errors import Refused
from requests_queue.redaction import MASK
from tests import make
from tests.api import caller
from tests.engines import running, until
from tests.handlers import Handler, ReceivedRequest, handler
from tests.webhooks import validating
from tests.webhooks.test_secrets import everything_stored
from webhooks.delivery import claim, fan_out, record, resend
from webhooks.delivery.attempt import AttemptResult
from webhooks.http.client import Response
from webhooks.models import Attempt

SECRET = 'JWT-canary"of+the/webhook-0001'
HEADER = "canary of a header=0002"
OTHER = "JWT-canary-of-another-webhook-0003"
KEY = "SU-100-200-300:canary-key.0004"
pytestmark = pytest.mark.django_db(transaction=True)


def repeating(request: ReceivedRequest) -> tuple[int, bytes]:
    """Return everything that a handler may know, in all forms, in a failure."""
    said = json.dumps(
        {"headers": dict(request.headers), "settings": [SECRET, HEADER, OTHER, KEY, "é"]}
    )
    return 500, (said + quote(said, safe="") + json.dumps(said)).encode()


def leaks(text: str, served: Handler) -> list[str]:
    """Return the secrets that a text has, signatures of the handler's tokens among them."""
    signatures = [request.token.rpartition(".")[2] for request in served.received]
    return [secret for secret in ("canary", *signatures) if secret in text]


def deliver(catalog: make.Catalog, served: Handler, engine: Any, **webhook: Any) -> Attempt:
    """Deliver an event to a webhook with secrets, and return the attempt."""
    fields = {"jwt_secret": SECRET, "headers": {"X-Api-Key": HEADER}, **webhook}
    make.webhook(catalog, served.url, **fields)
    make.order(catalog)
    engine.wake()
    until(lambda: Attempt.objects.count() == 1, "the attempt")
    return Attempt.objects.get()


def test_response_that_repeats_all_secrets_is_stored_without_them(
    catalog: make.Catalog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    make.webhook(catalog, n=2, jwt_secret=OTHER, active=False)
    with handler(repeating) as served, running() as [engine]:
        attempt = deliver(catalog, served, engine)
    assert attempt.redacted
    body = bytes(attempt.response_body).decode()
    assert not leaks(everything_stored() + caplog.text, served)
    # What is harmless can be read, and the content of the token.
    assert MASK in body and "SU-100-200-300:" in body and "\\u00e9" in body
    assert base64.urlsafe_b64encode(b'{"webhook_id')[:12].decode() in body
    shown = caller(catalog.vendor).get("/notifications/webhooks?limit=1").json[0]
    failure = shown["last_failure"]
    assert failure["response"]["redacted"] is True
    assert not leaks(json.dumps(failure), served)


@pytest.mark.parametrize("compressed", [False, True])
def test_secret_in_headers_and_at_the_cut_of_a_body_is_not_stored(
    catalog: make.Catalog, compressed: bool
) -> None:
    """The first half of a secret is at the end of what is read."""
    body = ("x" * (65536 - 12) + OTHER).encode()
    hook = make.webhook(catalog, jwt_secret=OTHER)
    fan_out.trigger(hook)
    [claimed] = claim.claim(1).claims
    headers = (("X-Debug", f"Bearer {HEADER} {KEY}"), ("Set-Cookie", quote(OTHER)))
    response = Response(200, headers, body[:65536], truncated=True)
    if compressed:
        headers += (("Content-Encoding", "gzip"),)
        response = Response(200, headers, gzip.compress(OTHER.encode()), truncated=False)
    error = f"refused {OTHER}"
    record.record([AttemptResult(claimed, "failure", 1, response=response, error=error)])
    row = Attempt.objects.get()
    assert row.redacted and row.error == f"refused {MASK}"
    text = json.dumps(row.response_headers) + bytes(row.response_body).decode()
    assert "canary-of-another" not in text and "canary-key" not in text and "JWT-cana" not in text
    assert row.response_headers[1] == ["Set-Cookie", MASK]


def test_attempt_without_secrets_is_unchanged(catalog: make.Catalog) -> None:
    with handler((200, b'{"ok": "eyJ SU-100"}')) as served, running() as [engine]:
        attempt = deliver(catalog, served, engine, jwt_secret="short")
    assert not attempt.redacted
    assert bytes(attempt.response_body) == b'{"ok": "eyJ SU-100"}'
    assert resend.sent_request(attempt).url == served.url


def test_secret_in_url_and_additional_data_is_sent_and_not_stored(catalog: make.Catalog) -> None:
    with handler(200) as served, running() as [engine]:
        attempt = deliver(
            catalog,
            served,
            engine,
            external_url=f"{served.url}?key={quote(HEADER)}",
            data={"key": KEY, "n": 1},
        )
        [received] = served.received
    assert quote(HEADER) in received.path and received.json["data"]["key"] == KEY
    assert attempt.redacted and attempt.claims["data"]["key"] == f"SU-100-200-300:{MASK}"
    assert attempt.claims["data"]["n"] == 1
    texts = [attempt.url, attempt.request_body, json.dumps(attempt.claims)]
    assert not leaks("".join(texts), served)
    with connection.cursor() as cursor:
        cursor.execute("SELECT external_url FROM webhooks_webhook")
        assert quote(HEADER) in str(cursor.fetchall())
    # A mask would be sent in place of the secret.
    with pytest.raises(Refused, match="Use Trigger now"):
        resend.create_resend(attempt)


def test_error_of_a_validator_does_not_show_secrets_to_the_distributor() -> None:
    catalog = validating.platform()
    make.parameter(catalog, "country", type="dropdown", constraints={"choices": [{"value": "a"}]})
    row = validating.draft(catalog)

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        shown = f"{request.headers['Authorization']} {SECRET}"
        params = [{"id": "country", "value": shown}, {"id": "country", "value": 1}]
        return 200, json.dumps({"asset": {"params": params}}).encode()

    with validating.called_validator(catalog, respond, jwt_secret=SECRET) as (served, _):
        [message] = validating.refused(catalog, row)
    assert "is not one of" in message and MASK in message
    assert not leaks(message + everything_stored(), served)


def test_quotation_of_a_response_has_no_part_of_a_secret() -> None:
    """Quotations have 40 characters, fewer than this secret."""
    catalog, secret = validating.platform(), "JWT-" + 10 * "canary"
    row = validating.draft(catalog)
    with validating.called_validator(
        catalog, (200, f"<p>{secret}".encode()), jwt_secret=secret
    ) as (served, _):
        [message] = validating.refused(catalog, row)
    assert f"begins with '<p>{MASK}'" in message
    assert not leaks(message + everything_stored(), served)


def test_response_of_a_validator_is_merged_as_it_was_sent() -> None:
    catalog = validating.platform()
    row = validating.draft(catalog)
    response = validating.validator_response(region={"value": "staging", "value_error": "staging?"})
    with validating.called_validator(catalog, response, headers={"X-Environment": "staging"}):
        assert validating.validate(catalog, row)
    row.refresh_from_db()
    assert validating.value_errors(row) == {"region": "staging?"}
    attempt = Attempt.objects.get()
    assert attempt.redacted and b"staging" not in bytes(attempt.response_body)


def test_old_secret_of_a_request_in_flight_is_redacted(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog, jwt_secret=SECRET)
    fan_out.trigger(hook)
    [claimed] = claim.claim(1).claims
    hook.jwt_secret = OTHER
    hook.save()
    response = Response(200, (), f"{SECRET} {OTHER}".encode(), truncated=False)
    record.record([AttemptResult(claimed, "success", 1, response=response)])
    assert bytes(Attempt.objects.get().response_body).decode() == f"{MASK} {MASK}"
