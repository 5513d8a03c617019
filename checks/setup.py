"""Products and webhooks that checks need, in one sandbox, and the lab that uses them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checks.client import ApiError
from checks.extension_lab import EXTENSIONS, ExtensionLab
from checks.handler_requests import Handler
from checks.lab import Lab
from checks.platform import QUEUE, TIERS, Json, Platform
from checks.timing import LONGEST_INTERVAL
from checks.tokens import Signer

VALIDATOR = "validator"
# The object class as payloads have it.
SENT_CLASS = f"{QUEUE}s"
# How often the tier requests of an order are looked at: two, each of which asks and is approved.
_ROUNDS = 6


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
    # Raises an error unless it can be ordered.
    has_drafts = platform.catalog(product["id"]).has_drafts
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
        measured_since=platform.cursor(),
        budget=platform.budget,
        validator=signer(
            product["id"],
            target.secret,
            target.webhook if target.is_validator else "",
            type=VALIDATOR,
            http_method="POST",
        )
        if target.has_validator and has_drafts
        else None,
    )


def create_extension(
    platform: Platform, product: str = "", is_multi_account: bool = False
) -> tuple[ExtensionLab, dict[str, str]]:
    """Create the products and the extension of a lab; by default for a fresh product.

    One of several accounts is installed for the vendor only. Also return the variables of the
    runner's process. Raises ApiError.
    """
    sold = product or platform.create_product("Checked product")["id"]
    # Raises an error unless it can be ordered.
    platform.catalog(sold)
    other, idle = (platform.create_product(name)["id"] for name in ("Another product", "Unsold"))
    deactivate_all(platform)
    account = platform.vendor.call("GET", f"/sandbox/products/{sold}")["vendor"]
    body = {"name": "Checked extension", "products": [idle]}
    if is_multi_account:
        body |= {"type": "multiaccount", "accounts": [account]}
    made = platform.vendor.call("POST", EXTENSIONS, body)
    secret = new_secret()

    def signer(product: str) -> Signer:
        return Signer("", "", SENT_CLASS, account, product, platform.api_url, secret)

    lab = ExtensionLab(
        platform,
        Handler(""),
        signer(sold),
        signer(other),
        signer(sold),
        measured_since=platform.cursor(),
        budget=platform.budget,
        service=made["id"],
        environment=made["environment"],
        idle=idle,
    )
    return lab, {**made["variables"], "INSTANCE_ID": "check"}


def deactivate_all(platform: Platform) -> None:
    """Deactivate the vendor's webhooks: only checks call handlers, and move time to attempts."""
    for row in platform.webhooks():
        if row["active"]:
            platform.update_webhook(row["id"], active=False)


def set_up_reseller(lab: Lab, *, calls_handler: bool) -> None:
    """Let the tier requests of the reseller of all orders be approved, if the product has any.

    The distributor answers them. The handler approves them if it reads tier requests, because it
    is called or by itself; otherwise the check does. Raises ApiError.
    """
    platform = lab.platform
    if not platform.catalog(lab.product).has_tiers:
        return
    order = lab.order()
    for _ in range(_ROUNDS):
        for row in platform.tier_requests(order):
            pk = row["id"]
            if row["status"] == "inquiring":
                platform.answer_tier_request(pk)
            elif row["status"] == "pending":
                calls_handler = calls_handler and _approves(lab, pk)
                _beside(pk, platform.tier_request, platform.approve_tier_request)
    if calls_handler:
        lab.send()
        lab.wait_finished([order])
        lab.settle()
    _beside(order, platform.request, platform.approve)
    lab.measured_since = lab.mark()


def _approves(lab: Lab, request: str) -> bool:
    """Call the handler, and return whether it finishes a tier request."""
    lab.send()
    lab.settle()
    if not any(call.path == TIERS for call in lab.platform.calls(lab.measured_since)):
        return False
    return lab.wait_for(
        lambda: lab.platform.tier_request(request)["status"] != "pending", LONGEST_INTERVAL
    )


def _beside(pk: str, read: Callable[[str], Json], approve: Callable[[str], None]) -> None:
    """Approve what is pending, unless the handler does so at the same time."""
    try:
        if read(pk)["status"] == "pending":
            approve(pk)
    except ApiError:
        if read(pk)["status"] == "pending":
            raise
