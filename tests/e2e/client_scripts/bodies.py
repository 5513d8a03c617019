"""Bodies of all scripts, and the output of their result; no client is imported here.

The scripts run in an environment of their own, so nothing of the repository is imported.
"""

import json
import os
import sys
import threading
import time
from urllib.request import Request, urlopen

URL = os.environ["CONNECT_URL"]
VENDOR_KEY = f"ApiKey {os.environ['VENDOR_KEY']}"
PROVIDER_KEY = f"ApiKey {os.environ['PROVIDER_KEY']}"

PLAIN, SUITE, METER = "PRD-814-505-018", "PRD-362-917-440", "PRD-590-284-731"
CONNECTIONS = {
    PLAIN: "CT-2044-1187-9002",
    SUITE: "CT-3380-6125-4471",
    METER: "CT-5127-0938-2264",
}
CONTACT = {
    "address_line1": "1 Harbour Road", "city": "Portland", "state": "OR",
    "postal_code": "97201", "country": "US",
    "contact": {
        "first_name": "Ada", "last_name": "Ray", "email": "ada@example.com",
        "phone_number": {"country_code": "+1", "area_code": "555", "phone_number": "0100"},
    },
}  # fmt: skip


def let_inquiries_be_changed(product):
    """Switch on the capability without which an inquiring request can't be changed."""
    body = json.dumps({"capabilities": {"inquiring": {"validation": True}}}).encode()
    headers = {"Authorization": VENDOR_KEY, "Content-Type": "application/json"}
    request = Request(f"{URL}/products/{product}", body, headers, method="PUT")
    urlopen(request, timeout=30).close()


def purchase(product=PLAIN, params=(), tiers=(), asset=(), **more):
    """Return the body of an order with only what a distributor sends."""
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": CONNECTIONS[product]},
            "items": [{"id": f"{product}-0001", "quantity": 5}],
            "params": list(params),
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
                **dict(tiers),
            },
            **dict(asset),
        },
        **more,
    }


def until(true, timeout=30):
    """Poll until the condition is true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "not in time"
        threading.Event().wait(0.05)


def hand_over(**report):
    json.dump(report, sys.stdout)
