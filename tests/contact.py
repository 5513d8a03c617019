"""The contact of customers and resellers in tests, without Django."""

from __future__ import annotations

CONTACT = {
    "address_line1": "1 Harbour Road",
    "address_line2": "",
    "city": "Portland",
    "state": "OR",
    "postal_code": "97201",
    "country": "US",
    "contact": {
        "first_name": "Ada",
        "last_name": "Ray",
        "email": "ada@example.com",
        "phone_number": {
            "country_code": "+1",
            "area_code": "555",
            "phone_number": "0100",
            "extension": "",
        },
    },
}
