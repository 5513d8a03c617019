"""The token of a call: HS256 by the webhook's secret. No ORM, no Django."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError
from jwt.warnings import InsecureKeyLengthWarning

HEADERS = {
    "both": ("Authentication", "Authorization"),
    "authentication": ("Authentication",),
    "authorization": ("Authorization",),
}
# Connect's tokens begin with `typ`, as PyJWT 1 wrote them.
JOSE = {"typ": "JWT", "alg": "HS256"}

# Connect takes short secrets; the form shows a hint instead.
warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)


class _HMAC(HMACAlgorithm):
    """PyJWT's, except that it looks through a secret for keys that are none only once."""

    def prepare_key(self, key: str | bytes) -> bytes:
        """Return the key, checked; raises InvalidKeyError."""
        return _checked(key)


@lru_cache(maxsize=4096)
def _checked(key: str | bytes) -> bytes:
    return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(key)


_jws = PyJWS(algorithms=[])
_jws.register_algorithm("HS256", _HMAC(HMACAlgorithm.SHA256))


class SecretRefused(ValueError):
    """A secret that can't sign; the text says why."""


def new_secret() -> str:
    """Return a fresh secret in Connect's form."""
    return f"JWT-{uuid.uuid4()}"


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """Return the signed token; raises SecretRefused where the secret can't sign."""
    if not secret:
        raise SecretRefused(
            "The JWT secret can't be read: SIM_ENCRYPTION_KEY isn't the key that it was stored "
            "with. Set that key again, or save the webhook with a new secret."
        )
    try:
        return _jws.encode(
            json.dumps(dict(claims), separators=(",", ":")).encode(),
            secret,
            algorithm="HS256",
            headers=JOSE,
            sort_headers=False,
        )
    except (PyJWTError, UnicodeError, TypeError, ValueError):
        raise SecretRefused(
            "The JWT secret can't sign a token: use plain text, not a key in PEM or SSH form."
        ) from None


def check_secret(secret: Any) -> str:
    """Return the secret if it can sign; raises SecretRefused with a sentence."""
    if not isinstance(secret, str) or not secret:
        raise SecretRefused("The JWT secret may not be blank.")
    if len(secret) > 100:
        raise SecretRefused("Ensure the JWT secret has no more than 100 characters.")
    sign({}, secret)
    return secret


def is_short(secret: str) -> bool:
    """Whether the secret is shorter than HS256 wants (32 bytes)."""
    return len(secret.encode()) < 32


def mask(secret: str) -> str:
    """Return the secret as Connect's pages show it, `JWT-f841*****33da`; short ones all hidden."""
    return "*****" if len(secret) < 24 else f"{secret[:8]}*****{secret[-4:]}"


def bearer(token: str, mode: str) -> dict[str, str]:
    """Return the headers that carry the token, by SIM_JWT_HEADER."""
    return dict.fromkeys(HEADERS[mode], f"Bearer {token}")
