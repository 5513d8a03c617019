"""The orders of the checks: all for one reseller, with a value of its own for each parameter."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from requests_queue.catalog import sample_values

Json = dict[str, Any]

_CUSTOMER = "Harbour Cafe"
_LETTERS = "abcdefghijkmnpqrstuvwxyz"
_RESELLER, _ABOVE = "Resellers of the checks", "Distribution of the checks"
_QUANTITIES = range(2, 10)
# Parameters of these types are texts of the order's form, without a value.
_TEXTS = ("heading", "content")


@dataclass(frozen=True, slots=True)
class Catalog:
    """A product as `/sandbox/products` shows it, and what only Connect's API has of it."""

    product: Json
    parameters: tuple[Json, ...]
    capabilities: Json

    @property
    def has_hold(self) -> bool:
        """Whether subscriptions can be suspended and resumed."""
        return bool(self.capabilities.get("subscription", {}).get("hold"))

    @property
    def has_drafts(self) -> bool:
        """Whether purchases can be drafts, which a validator is called about."""
        return bool(self.capabilities.get("cart", {}).get("validation"))

    @property
    def has_tiers(self) -> bool:
        """Whether the product has parameters of its resellers."""
        return bool(self._scopes & {"tier1", "tier2"})

    @property
    def _scopes(self) -> set[str]:
        return {row["scope"] for row in self.parameters}

    def purchase(self, random: Random, customer: str = _CUSTOMER) -> Json:
        """Return the body of a purchase of all items, for a new customer with this name."""
        tiers = {
            "customer": tier(f"{customer} {word(random)}"),
            "tier1": tier(_RESELLER, "checks-reseller"),
        }
        if "tier2" in self._scopes:
            tiers["tier2"] = tier(_ABOVE, "checks-distribution")
        return {
            "type": "purchase",
            "marketplace": {"id": self.product["marketplace"]},
            "asset": {
                "external_id": secrets.token_hex(8),
                "external_uid": str(uuid.uuid4()),
                "connection": {"id": self.product["connection"]},
                "items": [
                    {"id": row["id"], "quantity": random.choice(_QUANTITIES)}
                    for row in self.product["items"]
                ],
                "params": self.values(),
                "tiers": tiers,
            },
        }

    def values(self) -> list[Json]:
        """Return a value for each parameter that the customer fills in, another one each time."""
        return values(
            {**row, "id": row["name"], "value_choices": row["constraints"].get("choices")}
            for row in self.parameters
            if row["scope"] == "asset" and row["type"] not in _TEXTS
        )


def word(random: Random) -> str:
    """Return a word of letters, which is none of any language."""
    return "".join(random.choices(_LETTERS, k=10))


def values(rows: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Return a value for each ordering parameter, as the API shows them; another one each time.

    A handler may refuse what another order has, such as a domain, even if the product allows it.
    """
    return [
        sample_values.fill({**row, "constraints": {**row["constraints"], "unique": True}})
        for row in rows
        if row["phase"] == "ordering"
    ]


def tier(name: str, uid: str = "") -> Json:
    """Return a customer or a reseller; one with a uid is created once."""
    phone = {"country_code": "+1", "area_code": "555", "phone_number": "0100"}
    contact = {
        "first_name": "Zoë",
        "last_name": name,
        "email": "zoe@example.com",
        "phone_number": phone,
    }
    address = {
        "address_line1": "1 Harbour Road",
        "city": name,
        "state": "OR",
        "postal_code": "97201",
        "country": "US",
    }
    return {"name": name, "external_uid": uid, "contact_info": {**address, "contact": contact}}
