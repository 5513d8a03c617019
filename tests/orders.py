"""Orders and webhooks, created by the API of a seeded platform."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.contact import CONTACT
from tests.processes import Sandbox, pause

PLAIN = "PRD-814-505-018"
SECRET = "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10"


def connection(running: Sandbox, product: str = PLAIN) -> str:
    """Return the connection of a product."""
    connections = running.as_vendor("GET", f"/products/{product}/connections")
    return str(connections[0]["id"])


def item(running: Sandbox, product: str = PLAIN) -> dict[str, Any]:
    """Return the first item of a product."""
    return dict(running.as_vendor("GET", f"/products/{product}/items")[0])


def order(running: Sandbox, product: str = PLAIN, **asset: Any) -> dict[str, Any]:
    """Return the body by which a distributor orders a product."""
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": connection(running, product)},
            "items": [{"id": item(running, product)["id"], "quantity": 5}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
            },
            **asset,
        },
    }


def purchase(running: Sandbox, product: str = PLAIN, **asset: Any) -> dict[str, Any]:
    """Order a product as the distributor does, and return the request."""
    body = order(running, product, **asset)
    return dict(running.as_distributor("POST", "/requests", body))


def webhook(running: Sandbox, url: str, product: str = PLAIN, **more: Any) -> dict[str, Any]:
    """Create a webhook as the vendor does."""
    body = {
        "label": "Test",
        "product_id": product,
        "object_class": "fulfillment_request",
        "external_url": url,
        "jwt_secret": SECRET,
        **more,
    }
    return dict(running.as_vendor("POST", "/notifications/webhooks", body))


@contextmanager
def subscribed(running: Sandbox, url: str, product: str = PLAIN, **more: Any) -> Iterator[str]:
    """Create a webhook for the block, and yield its id."""
    hook = str(webhook(running, url, product, **more)["id"])
    try:
        yield hook
    finally:
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def stats(running: Sandbox, webhook_id: str) -> dict[str, Any]:
    """Return a webhook's counters."""
    hook = running.as_vendor("GET", f"/notifications/webhooks/{webhook_id}")
    return dict(hook["stats"])


def until_stats(running: Sandbox, webhook_id: str, timeout: float = 60, **expected: int) -> None:
    """Wait until the counters of a webhook have these values."""
    import time

    deadline = time.monotonic() + timeout
    while True:
        counts = stats(running, webhook_id)
        if all(counts[name] == value for name, value in expected.items()):
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{expected} did not come; it is {counts}")
        pause()
