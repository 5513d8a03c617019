"""The body of a purchase for a customer that a check chooses."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any


def like(sample: Mapping[str, Any], customer: str) -> dict[str, Any]:
    """Return the body of a purchase like another one, for a new customer with this name."""
    asset = sample["asset"]
    ordered = [row for row in asset["params"] if row["phase"] == "ordering" and row["value"]]
    return {
        "type": "purchase",
        "marketplace": {"id": sample["marketplace"]["id"]},
        "asset": {
            "external_id": secrets.token_hex(8),
            "external_uid": str(uuid.uuid4()),
            "connection": {"id": asset["connection"]["id"]},
            "items": [{"id": row["id"], "quantity": row["quantity"]} for row in asset["items"]],
            "params": [{"id": row["id"], "value": row["value"]} for row in ordered],
            "tiers": {level: _tier(customer) for level in ("customer", "tier1")},
        },
    }


def _tier(name: str) -> dict[str, Any]:
    phone = {"country_code": "+1", "area_code": "555", "phone_number": "0100"}
    contact = {
        "first_name": "Zoë", "last_name": name, "email": "zoe@example.com", "phone_number": phone,
    }  # fmt: skip
    address = {
        "address_line1": "1 Harbour Road", "city": name, "state": "OR", "postal_code": "97201",
        "country": "US",
    }  # fmt: skip
    return {"name": name, "contact_info": {**address, "contact": contact}}
