"""What a sandbox prints when it is up: where it is, how to get in, what to try first."""

from __future__ import annotations

import json
import sys

from django.conf import settings

from portal import signin
from requests_queue.catalog.models import Connection, User
from sandbox.sandbox_file import Sandbox


def show(sandbox: Sandbox) -> None:
    """Print it. The keys are meant to be copied, so nothing is wrapped or decorated."""
    lines = [
        "",
        f"Connect Sim is up: {sandbox.url}",
        "",
        f"  Admin      {sandbox.url}/admin/",
        f"  API        {sandbox.url}/public/v1",
        f"  Data       {settings.SIM_DATA_DIR}",
        *(f"  Sign in    {sandbox.url}{path}   (works once)" for path in _links()),
        "",
        f"  Vendor       ApiKey {sandbox.vendor_api_key}",
        f"  Distributor  ApiKey {sandbox.provider_api_key}",
        "",
        "Order the plain product as the distributor:",
        "",
        *_purchase(sandbox),
        "",
        "Ctrl-C stops it.",
        "",
    ]
    print("\n".join(lines), flush=True, file=sys.stdout)


def _links() -> list[str]:
    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return [signin.link(admin)] if admin else []


def _purchase(sandbox: Sandbox) -> list[str]:
    body = purchase_body()
    if body is None:
        return ["  (no demo data: run `connect-sim seed`)"]
    return [
        f"curl -s {sandbox.url}/public/v1/requests \\",
        f"  -H 'Authorization: ApiKey {sandbox.provider_api_key}' \\",
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{json.dumps(body)}'",
    ]


def purchase_body() -> dict[str, object] | None:
    """Return the body of a purchase of the plain product, with only what a distributor sends."""
    plain = [
        connection
        for connection in Connection.objects.select_related("product").order_by("pk")
        if not connection.product.capability("cart.validation")
        and not connection.product.capability("subscription.hold")
    ]
    if not plain:
        return None
    item = plain[0].product.items.first()
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
            "connection": {"id": plain[0].pk},
            "items": [{"id": item.pk if item else "", "quantity": 5}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": address},
                "tier1": {"name": "Portland Resellers", "contact_info": address},
            },
        },
    }
