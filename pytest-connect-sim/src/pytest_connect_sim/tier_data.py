"""Customers and resellers that tests order with, made up from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Union

Json = dict[str, Any]
Tier = Union[str, Mapping[str, Any]]

_CUSTOMERS = (
    ("Harbour Cafe", "Ada", "Ray"),
    ("Cedar & Pine Books", "Noor", "Haddad"),
    ("Blue Ridge Dental", "Tomas", "Lind"),
    ("Juniper Studio", "Mei", "Tan"),
)
_RESELLERS = (("Portland Resellers", "Jon", "Berg"), ("Atlantic Cloud", "Nora", "Keane"))


class People:
    """Makes up customers, resellers and external ids; the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uid(self) -> str:
        """Return an external id."""
        return f"{self._random.getrandbits(64):016x}"

    def customer(self) -> Json:
        """Return a new customer."""
        return self._tier(*self._random.choice(_CUSTOMERS))

    def reseller(self) -> Json:
        """Return a new reseller."""
        return self._tier(*self._random.choice(_RESELLERS))

    def suite(self) -> str:
        """Return the second line of an address."""
        return f"Suite {self._random.randrange(100, 1000)}"

    def _tier(self, name: str, first: str, last: str) -> Json:
        uid = self.uid()
        email = f"{first}.{last}@example.com".lower()
        phone = {"country_code": "+1", "area_code": "503", "phone_number": "5550100"}
        contact = {"first_name": first, "last_name": last, "email": email, "phone_number": phone}
        address = {
            "address_line1": "1 Harbour Road",
            "city": "Portland",
            "state": "OR",
            "postal_code": "97201",
            "country": "US",
            "contact": contact,
        }
        return {"name": name, "external_id": uid, "external_uid": uid, "contact_info": address}


def tier(given: Tier) -> Json:
    """Return a tier account of a body: by its id, or as it is given."""
    return {"id": given} if isinstance(given, str) else dict(given)
