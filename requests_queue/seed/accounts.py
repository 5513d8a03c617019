"""The vendor, the distributor and their users, and where the products are sold."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password

from requests_queue import clock
from requests_queue.catalog.models import (
    Account,
    Agreement,
    Connection,
    Contract,
    Hub,
    Listing,
    Marketplace,
    User,
)
from requests_queue.seed.rows import add_missing

VENDOR, PROVIDER = "VA-610-138", "PA-318-442"
MARKETPLACE, HUB, CONTRACT = "MP-40117", "HB-7710-3391", "CRD-41020-88713-20954"

# The accounts' age at the first seed. All other dates are later.
_AGE = timedelta(days=400)

_ACCOUNTS: tuple[dict[str, Any], ...] = (
    {
        "id": VENDOR,
        "name": "Nimbus Inc",
        "type": "vendor",
        "role": "vendor",
        "brand": "Nimbus",
        "external_id": "nimbus-inc",
        "description": "Backup, security and metering for small and mid-sized companies.",
    },
    {
        "id": PROVIDER,
        "name": "Northland Distribution",
        "type": "provider",
        "role": "distributor",
        "brand": "Northland",
        "external_id": "northland",
        "description": "Cloud distributor for resellers in North America and Europe.",
    },
)

_USERS: tuple[dict[str, Any], ...] = (
    {
        "uid": "UR-426-913-070",
        "username": "vendor",
        "first_name": "Maya",
        "last_name": "Ortiz",
        "email": "maya.ortiz@nimbus.example.com",
        "account_id": VENDOR,
    },
    {
        "uid": "UR-580-227-641",
        "username": "distributor",
        "first_name": "Jonas",
        "last_name": "Berg",
        "email": "jonas.berg@northland.example.com",
        "account_id": PROVIDER,
    },
    {
        "uid": "UR-000-100-001",
        "username": "admin",
        "first_name": "Platform",
        "last_name": "Admin",
        "email": "admin@connect-sim.example.com",
        "is_superuser": True,
    },
)
VENDOR_USER, DISTRIBUTOR_USER = "UR-426-913-070", "UR-580-227-641"

COUNTRIES = {
    "US": "United States",
    "CA": "Canada",
    "GB": "United Kingdom",
    "IE": "Ireland",
    "DE": "Germany",
    "ES": "Spain",
    "NO": "Norway",
    "SE": "Sweden",
    "CZ": "Czechia",
}

# Product, its connection to the hub, its listing on the marketplace.
_LINES = (
    ("PRD-814-505-018", "CT-2044-1187-9002", "LST-731-204-558"),
    ("PRD-362-917-440", "CT-3380-6125-4471", "LST-448-096-312"),
    ("PRD-590-284-731", "CT-5127-0938-2264", "LST-905-617-283"),
)


def add_accounts() -> int:
    """Add the companies. This part runs first, so that a concurrent seed waits here."""
    at = clock.shown(clock.now()) - _AGE
    return sum(
        Account.objects.get_or_create(pk=row["id"], defaults={**row, "created": at})[1]
        for row in _ACCOUNTS
    )


def first_seed() -> datetime:
    """Return the time of the first seed, from which all dates of the demo data are counted."""
    return Account.objects.get(pk=VENDOR).created + _AGE


def add_users(at: datetime) -> dict[str, int]:
    """Add a user of each company, and an administrator; they sign in by link, not by password."""
    rows = [
        User(
            **row, is_staff=True, password=make_password(None), date_joined=at - timedelta(days=390)
        )
        for row in _USERS
    ]
    return {"users": add_missing(rows, "uid")}


def add_marketplaces(at: datetime) -> dict[str, int]:
    """Add the marketplace, the hub and the contract."""
    then = at - timedelta(days=380)
    marketplace = Marketplace(
        id=MARKETPLACE,
        name="Northland",
        owner_id=PROVIDER,
        zone="NA",
        currency="USD",
        description="Northland's marketplace for resellers in North America and Europe.",
        countries=[{"id": code, "name": name} for code, name in COUNTRIES.items()],
        created=then,
    )
    hub = Hub(
        id=HUB,
        name="Northland Hub",
        company_id=PROVIDER,
        instance_id="northland-commerce-1",
        description="Northland's commerce system.",
        created=then,
        updated=then,
    )
    contract = Contract(
        id=CONTRACT,
        name="Contract of Northland Distribution",
        vendor_id=VENDOR,
        provider_id=PROVIDER,
        marketplace_id=MARKETPLACE,
        created=at - timedelta(days=370),
        enrolled=at - timedelta(days=369),
        signed=at - timedelta(days=368),
    )
    added = {
        "marketplaces": add_missing([marketplace]),
        "agreements": add_missing([Agreement.of_marketplace(marketplace)]),
        "hubs": add_missing([hub]),
    }
    if added["hubs"]:
        # Only with a new hub: the user may have removed the marketplace from an existing one.
        link = Hub.marketplaces.through
        add_missing([link(hub_id=HUB, marketplace_id=MARKETPLACE)], "hub_id", "marketplace_id")
    return added | {"contracts": add_missing([contract])}


def add_connections(at: datetime) -> dict[str, int]:
    """Add each product's connection to the hub and its listing."""
    then = at - timedelta(days=340)
    connections = [
        Connection(
            id=connection,
            product_id=product,
            provider_id=PROVIDER,
            vendor_id=VENDOR,
            hub_id=HUB,
            created=then,
        )
        for product, connection, _ in _LINES
    ]
    listings = [
        Listing(id=listing, product_id=product, contract_id=CONTRACT, created=then, updated=then)
        for product, _, listing in _LINES
    ]
    return {"connections": add_missing(connections), "listings": add_missing(listings)}
