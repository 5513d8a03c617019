"""Tokens and payloads that checks send to a handler: genuine ones, and ones with one fault."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from webhooks.delivery import request
from webhooks.delivery.request import WebhookPayload

Claims = dict[str, Any]

_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
# Seconds for which Connect's tokens are valid: the default processing timeout.
TIMEOUT = 600


@dataclass(frozen=True, slots=True)
class Signer:
    """The webhook that a token is for, and the secret that signs it; the repr hides the secret."""

    webhook_id: str
    name: str
    object_class: str
    account_id: str
    product_id: str
    api_url: str
    secret: str = field(repr=False)

    def payload(self, data: Mapping[str, Any] | None = None) -> Claims:
        """Return a payload as Connect sends it now."""
        content = WebhookPayload(
            self.webhook_id, self.name, self.object_class, self.account_id, self.product_id,
            self.api_url, datetime.now(UTC), None, None, TIMEOUT, data or {},
        )  # fmt: skip
        return request.build_payload(content)

    def claims(self, **changes: Any) -> Claims:
        """Return the claims of a token that is valid from now on, with some changed."""
        claims = request.build_claims(self.payload(), datetime.now(UTC))
        return {**claims, **changes}

    def token(self, claims: Mapping[str, Any] | None = None) -> str:
        """Return a genuine token."""
        return sign(self.claims() if claims is None else claims, self.secret)


def sign(
    claims: Mapping[str, Any], secret: str | bytes, algorithm: str = "HS256", **header: Any
) -> str:
    """Return a token; an algorithm without a hash of ours has an empty signature."""
    head = {"typ": "JWT", "alg": algorithm, **header}
    signed = f"{_encoded(head)}.{_encoded(claims)}"
    if algorithm not in _HASHES:
        return f"{signed}."
    key = secret.encode() if isinstance(secret, str) else secret
    return _with_hmac(signed, key, algorithm)


def sign_with_own_key(claims: Mapping[str, Any]) -> str:
    """Return a token with RS256 by a new key, whose public half is in the token (`jwk`)."""
    # Slow to import and needed once.
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt import PyJWT
    from jwt.algorithms import RSAAlgorithm

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "RS256", "use": "sig"}
    return PyJWT().encode(dict(claims), key, "RS256", {"jwk": jwk})


def mislabeled(claims: Mapping[str, Any], secret: str, algorithm: str) -> str:
    """Return a token with a right HS256 signature, whose header names another algorithm."""
    head = {"typ": "JWT", "alg": algorithm}
    return _with_hmac(f"{_encoded(head)}.{_encoded(claims)}", secret.encode(), "HS256")


def without_signature(token: str) -> str:
    """Return a token with an empty signature."""
    return f"{token.rpartition('.')[0]}."


def seconds_from_now(seconds: float) -> int:
    """Return an `exp` by real time: handlers compare it with their own clock."""
    return int(time.time() + seconds)


def _with_hmac(signed: str, key: bytes, algorithm: str) -> str:
    digest = hmac.new(key, signed.encode(), _HASHES[algorithm]).digest()
    return f"{signed}.{_base64(digest)}"


def _encoded(part: Mapping[str, Any]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
