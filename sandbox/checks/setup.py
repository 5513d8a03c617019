"""Products and webhooks that checks need, in one sandbox, and the lab that uses them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.checks.handler_requests import Handler
from sandbox.checks.lab import Lab
from sandbox.checks.platform import QUEUE, Platform
from sandbox.checks.tokens import Signer

VALIDATOR = "validator"
# The object class as payloads have it.
SENT_CLASS = f"{QUEUE}s"


@dataclass(frozen=True, slots=True)
class Target:
    """The handler as webhooks name it: URL, secret and method, and what it is for.

    `product` is empty for a fresh one. `webhook` is one that exists, whose id the handler may
    know: the validator's if `is_validator`, else the one of the queue. `parameters` are names that
    a fresh product has, beside the default ones.
    """

    url: str
    secret: str
    method: str = "POST"
    product: str = ""
    webhook: str = ""
    has_validator: bool = False
    is_validator: bool = False
    parameters: tuple[str, ...] = ()


def new_secret() -> str:
    """Return a random secret in Connect's form."""
    return f"JWT-{secrets.token_hex(16)}"


def create(platform: Platform, target: Target) -> Lab:
    """Create the products and webhooks of a lab; the webhooks are inactive.

    Raises ApiError, for example for a product that doesn't exist.
    """
    if target.product:
        product = platform.vendor.call("GET", f"/sandbox/products/{target.product}")
    else:
        product = platform.create_product("Checked product", target.parameters)
    other = platform.create_product("Another product")
    account = str(product["vendor"])
    deactivate_all(platform)

    def signer(sold: str, secret: str, webhook: str = "", **values: Any) -> Signer:
        if webhook:
            row = platform.webhook(webhook)
            platform.update_webhook(webhook, active=False)
        else:
            method = {"http_method": target.method}
            row = platform.create_webhook(sold, target.url, secret, **{**method, **values})
        return Signer(row["id"], row["label"], SENT_CLASS, account, sold, platform.api_url, secret)

    is_event = not target.is_validator
    known = signer(product["id"], target.secret, target.webhook if is_event else "")
    return Lab(
        platform,
        Handler(target.url),
        known,
        signer(other["id"], target.secret),
        signer(product["id"], new_secret()),
        method=target.method,
        opened=platform.cursor(),
        validator=signer(
            product["id"], target.secret, target.webhook if target.is_validator else "",
            type=VALIDATOR, http_method="POST",
        )
        if target.has_validator
        else None,
    )  # fmt: skip


def deactivate_all(platform: Platform) -> None:
    """Deactivate the vendor's webhooks: only checks call handlers, and move time to attempts."""
    for row in platform.webhooks():
        if row["active"]:
            platform.update_webhook(row["id"], active=False)
