"""The payload of a request, and the token that signs it."""

from __future__ import annotations

import base64
import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from webhooks.delivery import request
from webhooks.delivery.request import SecretRefused, WebhookPayload

PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"
AT = datetime(2026, 11, 2, 10, 0, 0, 987654, tzinfo=UTC)
SECRET = "JWT-a-secret-of-more-than-thirty-two-bytes"


def content(**values: Any) -> WebhookPayload:
    fields: dict[str, Any] = {
        "webhook_id": "WH-000-000-001",
        "webhook_name": "Orders",
        "object_class": "fulfillment_requests",
        "account_id": "VA-000-000",
        "product_id": "PRD-000-000-000",
        "api_url": "https://api.example.com/public/v1",
        "triggered_at": AT,
        "last_success_at": None,
        "last_failure_at": None,
        "processing_timeout": 600,
        "data": {"a": "é"},
    }
    return WebhookPayload(**{**fields, **values})


def test_payload_has_the_fields_in_order_and_whole_seconds() -> None:
    payload = request.build_payload(content(last_success_at=AT - timedelta(minutes=1)))
    assert list(payload) == [field.name for field in fields(WebhookPayload)]
    assert payload["triggered_at"] == "2026-11-02T10:00:00+00:00"
    assert payload["last_success_at"] == "2026-11-02T09:59:00+00:00"
    assert payload["last_failure_at"] is None
    assert json.loads(request.encode_payload(payload)) == payload


def test_token_expires_after_the_processing_timeout() -> None:
    claims = request.build_claims(request.build_payload(content()), AT)
    assert claims["exp"] == int(datetime(2026, 11, 2, 10, 10, tzinfo=UTC).timestamp())
    assert "iat" not in claims


def test_token_is_verified_with_the_secret() -> None:
    claims = request.build_claims(request.build_payload(content()), AT)
    token = request.sign_token(json.dumps(claims).encode(), SECRET)
    options: Any = {"verify_exp": False}
    assert jwt.decode(token, SECRET, algorithms=["HS256"], options=options) == claims
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, f"{SECRET}!", algorithms=["HS256"], options=options)
    header = token.partition(".")[0]
    assert base64.urlsafe_b64decode(header + "==") == b'{"typ":"JWT","alg":"HS256"}'


def test_stored_claims_are_put_into_order() -> None:
    claims = request.build_claims(request.build_payload(content()), AT)
    stored = dict(sorted(claims.items()))
    assert list(request.order_claims(stored)) == list(claims)


@pytest.mark.parametrize("secret", [None, "", 7, "x" * 101, PEM, "ssh-rsa AAAA", "\ud800"])
def test_secret_that_cannot_sign_is_refused(secret: Any) -> None:
    with pytest.raises(SecretRefused):
        request.check_secret(secret)


def test_new_secret_can_sign() -> None:
    secret = request.new_secret()
    assert request.check_secret(secret) == secret
    assert secret != request.new_secret()
