"""The first order of the tutorial: a plain product, with the minimal body of a distributor."""

from __future__ import annotations

import json
from typing import Any

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Connection

_LOOKED_AT = 100


def connection(account: Account | None = None) -> Connection | None:
    """Return a connection by which a product of the account, or of any, can be ordered, or None.

    The product needs no validation and no further input.
    """
    rows = visibility.connections(account)
    plain = (
        row
        for row in rows.select_related("product").order_by("pk")[:_LOOKED_AT]
        if not row.product.capability("cart.validation")
        and not row.product.capability("subscription.hold")
    )
    return next(plain, None)


def body(account: Account | None = None) -> dict[str, Any] | None:
    """Return the body of a purchase of that product, or None."""
    plain = connection(account)
    if plain is None:
        return None
    item = plain.product.items.first()
    contact = {
        "first_name": "Ada",
        "last_name": "Ray",
        "email": "ada@example.com",
        "phone_number": {"country_code": "+1", "area_code": "555", "phone_number": "0100"},
    }
    address = {
        "address_line1": "1 Harbour Road",
        "city": "Portland",
        "state": "OR",
        "postal_code": "97201",
        "country": "US",
        "contact": contact,
    }
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": plain.pk},
            "items": [{"id": item.pk if item else "", "quantity": 5}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": address},
                "tier1": {"name": "Portland Resellers", "contact_info": address},
            },
        },
    }


def curl(url: str, key: str, body: dict[str, Any]) -> str:
    """Return the order as a shell command."""
    return "\n".join(
        [
            f"curl -s {url}/public/v1/requests \\",
            f"  -H 'Authorization: ApiKey {key}' \\",
            "  -H 'Content-Type: application/json' \\",
            f"  -d '{json.dumps(body)}'",
        ]
    )
