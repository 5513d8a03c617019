"""What a request to a handler is made of, its payload, and the token that signs it.

Keys and order are Connect's (the example in its webhooks article). No ORM, no Django.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError

from requests_queue.api import fast_json

if TYPE_CHECKING:
    # At runtime it would import aiohttp, which takes a third of the start of `connect-sim check`.
    from requests_queue.redaction import Redaction
    from webhooks.http.client import Request, Response

TOKEN_HEADERS = {
    "both": ("Authentication", "Authorization"),
    "authentication": ("Authentication",),
    "authorization": ("Authorization",),
}
# Connect's tokens begin with `typ`, as PyJWT 1 wrote them.
JOSE = {"typ": "JWT", "alg": "HS256"}

# PyJWT's warning of short secrets, which Connect accepts; the form shows a hint instead.
warnings.filterwarnings("ignore", message="The HMAC key is ", category=UserWarning)


class _Hs256(HMACAlgorithm):
    """Signs as PyJWT does, but checks a secret once, which takes longer than the signature."""

    prepare_key = lru_cache(maxsize=1000)(HMACAlgorithm.prepare_key)


_signer = PyJWS(algorithms=[])
_signer.register_algorithm("HS256", _Hs256(HMACAlgorithm.SHA256))


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What a request needs of its webhook: the columns of the same names.

    `last_success_at` and `last_failure_at` are those of its attempts; `gate_closed_at` identifies
    the backoff at the claim.
    """

    id: str
    type: str
    label: str
    object_class: str
    account_id: str
    product_id: str
    external_url: str
    http_method: str
    # Not in the repr.
    jwt_secret: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    revision: int
    gate_closed_at: datetime | None
    earliest_possible_trigger: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class ResendOverride:
    """What an attempt sends in place of the webhook's own settings.

    `payload` is the content of the token; `body` replaces it as the body where it isn't empty.
    `altered`: the request differs from the webhook's settings, so it doesn't change the backoff.
    `preset` names what an interceptor changes of it on its way.
    """

    url: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    payload: Mapping[str, Any]
    body: str
    altered: bool = False
    preset: str = ""


# Sends a request as usual; raises RequestFailed.
Forward = Callable[["Request"], Awaitable["Response"]]


@dataclass(frozen=True, slots=True)
class Interceptor:
    """What changes the request of an attempt on purpose, for apps above this one.

    `marks` are stored with the attempt: names and kinds of what changes it. `send` sends the
    request by `Forward`, or not; raises RequestFailed. The token is as if the request was signed
    at `signed_at`, by `secret` in place of the webhook's.
    """

    marks: Sequence[Mapping[str, str]]
    send: Callable[[Request, Forward], Awaitable[Response]] = field(repr=False)
    signed_at: datetime
    secret: str | None = field(default=None, repr=False)
    has_token: bool = True


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request, and what is stored of it; the repr has neither token, secret nor headers."""

    request: Request = field(repr=False)
    claims: bytes  # as JSON
    headers: Mapping[str, str] = field(repr=False)

    def with_header(self, name: str, value: str) -> PreparedRequest:
        """Return it with a header, in place of one that the webhook has configured."""
        sent, stored = (
            {k: v for k, v in headers.items() if k.lower() != name} | {name: value}
            for headers in (self.request.headers, self.headers)
        )
        return PreparedRequest(replace(self.request, headers=sent), self.claims, stored)

    def redacted(self, redaction: Redaction) -> PreparedRequest:
        """Return it with body and claims redacted; headers are encrypted where they are stored."""
        body, claims = (self.request.body or b"").decode(), self.claims.decode()
        if redaction.text(joined := f"{body}\n{claims}") == joined:
            return self
        request = replace(self.request, body=redaction.text(body).encode())
        return replace(
            self, request=request, claims=fast_json.encode(redaction.value(json.loads(claims)))
        )


@dataclass(frozen=True, slots=True)
class WebhookPayload:
    """The fields of a payload, in Connect's order; `object_class` in the form that is sent."""

    webhook_id: str
    webhook_name: str
    object_class: str
    account_id: str
    product_id: str
    api_url: str
    triggered_at: datetime
    last_success_at: datetime | None
    last_failure_at: datetime | None
    processing_timeout: int
    data: Mapping[str, Any]


def format_timestamp(moment: datetime) -> str:
    """Return a datetime as Connect has it, in whole seconds: `2026-11-02T10:00:00+00:00`."""
    return moment.replace(microsecond=0).isoformat()


def build_payload(content: WebhookPayload) -> dict[str, Any]:
    """Return the payload as JSON types."""
    values = {each.name: getattr(content, each.name) for each in fields(content)}
    return {k: format_timestamp(v) if isinstance(v, datetime) else v for k, v in values.items()}


def build_claims(payload: Mapping[str, Any], triggered_at: datetime) -> dict[str, Any]:
    """Return the claims of the token: the payload and `exp`.

    `exp` is `triggered_at` + `processing_timeout`, in seconds since 1970. There is no `iat`:
    Connect sends none, and PyJWT refuses one that is ahead of the handler's clock.
    """
    valid = timedelta(seconds=payload["processing_timeout"])
    return {**payload, "exp": int((triggered_at.replace(microsecond=0) + valid).timestamp())}


def order_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored claims in Connect's order, `exp` last: PostgreSQL's JSON keeps no order."""
    names = (each.name for each in fields(WebhookPayload))
    return {name: claims[name] for name in names if name in claims} | dict(claims)


def encode_payload(payload: Mapping[str, Any]) -> bytes:
    """Return the body of a POST."""
    return fast_json.encode(payload)


class SecretRefused(ValueError):
    """A secret that can't sign; the text says why."""


def new_secret() -> str:
    """Return a new random secret in Connect's form."""
    return f"JWT-{uuid.uuid4()}"


def sign_token(claims: bytes, secret: str) -> str:
    """Return the token of encoded claims; raises SecretRefused where the secret can't sign."""
    if not secret:
        raise SecretRefused(
            "The JWT secret cannot be decrypted: SIM_ENCRYPTION_KEY is not the key that it was "
            "stored with. Restore that key, or save the webhook with a new secret."
        )
    try:
        return _signer.encode(claims, secret, "HS256", sort_headers=False)
    except (PyJWTError, UnicodeError):
        raise SecretRefused(
            "The JWT secret cannot sign a token: use plain text, not a key in PEM or SSH form."
        ) from None


def check_secret(secret: Any) -> str:
    """Return the secret if it can sign; raises SecretRefused."""
    if not isinstance(secret, str) or not secret:
        raise SecretRefused("The JWT secret may not be blank.")
    if len(secret) > 100:
        raise SecretRefused("Ensure the JWT secret has no more than 100 characters.")
    sign_token(b"{}", secret)
    return secret


def is_short_secret(secret: str) -> bool:
    """Whether the secret is shorter than HS256 recommends (32 bytes)."""
    return len(secret.encode()) < 32


def mask_secret(secret: str) -> str:
    """Return the secret as Connect's pages show it (`JWT-f841*****33da`); short ones hidden."""
    return "*****" if len(secret) < 24 else f"{secret[:8]}*****{secret[-4:]}"
