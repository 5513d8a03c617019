"""Tokens and payloads that checks send to a handler: genuine ones, and ones with one fault."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWS, PyJWT
from jwt.algorithms import Algorithm, HMACAlgorithm, NoneAlgorithm, RSAAlgorithm

from webhooks.delivery import request
from webhooks.delivery.request import WebhookPayload

Claims = dict[str, Any]


class _Hmac(HMACAlgorithm):
    """HMAC with any key: PyJWT refuses public keys, with which an attacker signs."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key


_SIGNERS = {"HS256": _Hmac(_Hmac.SHA256), "HS512": _Hmac(_Hmac.SHA512)}
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

    def payload(self) -> Claims:
        """Return a payload as Connect sends it now."""
        content = WebhookPayload(
            self.webhook_id,
            self.name,
            self.object_class,
            self.account_id,
            self.product_id,
            self.api_url,
            datetime.now(UTC),
            None,
            None,
            TIMEOUT,
            {},
        )
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
    if algorithm not in _SIGNERS:
        return _encode(claims, None, NoneAlgorithm(), algorithm, header)
    return _encode(claims, secret, _SIGNERS[algorithm], algorithm, header)


def sign_with_own_key(claims: Mapping[str, Any]) -> str:
    """Return a token with RS256 by a new key, whose public half is in the token (`jwk`)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "RS256", "use": "sig"}
    return PyJWT().encode(dict(claims), key, "RS256", {"jwk": jwk})


def mislabeled(claims: Mapping[str, Any], secret: str, algorithm: str) -> str:
    """Return a token with a right HS256 signature, whose header names another algorithm."""
    return _encode(claims, secret, _SIGNERS["HS256"], algorithm, {})


def without_signature(token: str) -> str:
    """Return a token with an empty signature."""
    return f"{token.rpartition('.')[0]}."


def seconds_from_now(seconds: float) -> int:
    """Return an `exp` by real time: handlers compare it with their own clock."""
    return int(time.time() + seconds)


def _encode(
    claims: Mapping[str, Any], key: Any, signer: Algorithm, name: str, header: Mapping[str, Any]
) -> str:
    """Return a token, signed by an algorithm that its header calls `name`."""
    jws = PyJWS(algorithms=[])
    jws.register_algorithm(name, signer)
    encoded = json.dumps(claims, separators=(",", ":")).encode()
    return jws.encode(encoded, key, name, {**header}, sort_headers=False)
