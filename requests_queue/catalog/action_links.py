"""Links of product actions: the action's URL with a signed token, `?jwt=…`.

The token is HS256 by the secret that all actions of a product share. Its claims are Connect's:
`action_id` (the action's own `action` text), `asset_id` or, for the tier scopes,
`configuration_id`, and `exp` in Unix seconds. A link works without authentication, because
a browser has no API key. For actions without a URL the link leads to a page of the portal.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jwt
from django.conf import settings

from requests_queue import clock
from requests_queue.catalog.models import Product, ProductAction
from requests_queue.catalog.models.products import new_secret
from requests_queue.db import encryption
from requests_queue.errors import Refused
from requests_queue.time_format import format_moment

VALID = timedelta(minutes=10)
UNVERIFIED = "Its signature does not verify with the secret of the product's actions."
_ALGORITHM = "HS256"
# 9999-12-31, the last date in Python.
_LAST = 253_402_300_799


class WrongToken(Exception):
    """An invalid token; the text is the reason."""


def to(action: ProductAction, about: dict[str, str]) -> str:
    """Return the link to an action, `about` being `{asset_id}`, `{configuration_id}` or empty.

    Raises Refused if the secret cannot be read.
    """
    expires = clock.now() + VALID
    claims = {"action_id": action.action, **about, "exp": int(expires.timestamp())}
    token = jwt.encode(claims, _secret(action.product), algorithm=_ALGORITHM)
    return with_token(action.url or f"{settings.SIM_PUBLIC_URL}/actions/{action.pk}", token)


def with_token(url: str, token: str) -> str:
    """Return the URL with `jwt` added to its query, or replaced."""
    parts = urlsplit(url)
    kept = [part for part in parts.query.split("&") if part and part.partition("=")[0] != "jwt"]
    return urlunsplit(parts._replace(query="&".join([*kept, f"jwt={token}"])))


def regenerate(product: Product) -> str:
    """Give the product's actions a new secret and return it; older links no longer verify."""
    secret = new_secret()
    Product.objects.filter(pk=product.pk).update(stored_action_secret=encryption.encrypt(secret))
    return secret


def read(action: ProductAction, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token of this action; raises WrongToken.

    `exp` is compared with platform time, which the sandbox may have moved.
    """
    wrong = WrongToken(UNVERIFIED)
    secret = encryption.decrypt(action.product.stored_action_secret)
    if not secret:
        raise wrong
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            options={"verify_exp": False, "require": ["exp", "action_id"]},
        )
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise wrong from None
    if not isinstance(claims["exp"], int) or not 0 <= claims["exp"] < _LAST:
        raise wrong
    if claims["action_id"] != action.action:
        raise WrongToken("It was made for another action of the product.")
    if expires_at(claims) <= clock.now():
        raise WrongToken(f"It expired at {format_moment(expires_at(claims))}.")
    return header, claims


def expires_at(claims: dict[str, Any]) -> datetime:
    """Return when a token expires."""
    return datetime.fromtimestamp(claims["exp"], UTC)


def _secret(product: Product) -> str:
    secret = encryption.decrypt(product.stored_action_secret)
    if not secret:
        raise Refused(
            "REQ_003",
            "The secret of the product's actions cannot be read: SIM_ENCRYPTION_KEY is not the key "
            "that it was stored with. Set that key again, or regenerate the secret.",
        )
    return secret
