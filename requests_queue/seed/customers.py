"""Customers and resellers; changes of their addresses, and the requests about these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from requests_queue import clock, ids
from requests_queue.catalog.models import Product, TierAccount, TierAccountVersion, User
from requests_queue.catalog.tier_versions import keep
from requests_queue.queues.tier_account.creation import UNSUPPORTED
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.seed.accounts import HUB, PROVIDER, VENDOR_USER
from requests_queue.seed.products import METER, SUITE
from requests_queue.seed.rows import add_missing, moment

Address = tuple[str, str, str, str, str, str]
Contact = tuple[str, str, str, str, str]


def _info(address: Address, contact: Contact, domain: str) -> dict[str, Any]:
    first, last, country_code, area_code, number = contact
    keys = ("address_line1", "address_line2", "city", "state", "postal_code", "country")
    return {
        **dict(zip(keys, address, strict=True)),
        "contact": {
            "first_name": first,
            "last_name": last,
            "email": f"{first}.{last}@{domain}".lower(),
            "phone_number": {
                "country_code": country_code,
                "area_code": area_code,
                "phone_number": number,
                "extension": "",
            },
        },
    }


MASTER = "TA-6120-4478-0031"
FJORDLINE, CASCADE, BRIGHTWATER = "TA-6120-4478-0107", "TA-6120-4478-0112", "TA-6120-4478-0120"
# These two resellers are not set up yet.
ALPENGLOW, TALWEG = "TA-6120-4478-0045", "TA-6120-4478-0138"

# Id, name, kind, parent, external id and uid, tax id, address, contact, domain.
_ROWS: tuple[tuple[str, str, str, str | None, str, str, str, Address, Contact, str], ...] = (
    (
        MASTER,
        "Keystone Channel Partners GmbH",
        "reseller",
        None,
        "200031",
        "6f0d0a52-1c43-4a55-9a0e-9b1f5d1c7a31",
        "DE811900431",
        ("Mainzer Landstrasse 58", "4. OG", "Frankfurt am Main", "HE", "60329", "DE"),
        ("Katrin", "Vogel", "+49", "69", "5550131"),
        "keystone.example.com",
    ),
    (
        FJORDLINE,
        "Fjordline IT AS",
        "reseller",
        None,
        "200107",
        "b3c5f7e0-52b8-4f0a-8a64-27f7a1d2c107",
        "NO918273645MVA",
        ("Strandgaten 21", "", "Bergen", "", "5013", "NO"),
        ("Ingrid", "Solberg", "+47", "55", "550107"),
        "fjordline.example.com",
    ),
    (
        CASCADE,
        "Cascade Managed Services",
        "reseller",
        None,
        "200112",
        "1d9a4c3e-0f6b-46d2-b1c8-5b0e8f7a9112",
        "91-5550112",
        ("1420 Fifth Avenue", "Suite 2200", "Seattle", "WA", "98101", "US"),
        ("Marcus", "Reed", "+1", "206", "5550112"),
        "cascade-msp.example.com",
    ),
    (
        BRIGHTWATER,
        "Brightwater Cloud Ltd",
        "reseller",
        MASTER,
        "200120",
        "e8b7d6c5-a493-4821-9170-6f5e4d3c2120",
        "IE6550120F",
        ("14 Grand Canal Quay", "", "Dublin", "", "D02 XH91", "IE"),
        ("Aoife", "Byrne", "+353", "1", "5550120"),
        "brightwater.example.com",
    ),
    (
        ALPENGLOW,
        "Alpenglow Distribution AG",
        "reseller",
        None,
        "200045",
        "0c4f2e9b-6d81-4a37-b5e2-8a7b6c5d2045",
        "ATU55500450",
        ("Maria-Theresien-Strasse 40", "", "Innsbruck", "", "6020", "AT"),
        ("Lukas", "Gruber", "+43", "512", "555045"),
        "alpenglow.example.com",
    ),
    (
        TALWEG,
        "Talweg Systemhaus OG",
        "reseller",
        ALPENGLOW,
        "200138",
        "7e1d5b3a-92c6-4f08-a4d1-9b8c7d6e2138",
        "ATU55501380",
        ("Salurner Strasse 11", "", "Innsbruck", "", "6020", "AT"),
        ("Eva", "Moser", "+43", "512", "555138"),
        "talweg.example.com",
    ),
    (
        "TA-0418-2290-3310",
        "Alder & Finch Architects",
        "customer",
        CASCADE,
        "100245",
        "0b6c2f1e-9d3a-4e58-8c47-1a2b3c4d0245",
        "93-5550145",
        ("811 NW Everett Street", "", "Portland", "OR", "97209", "US"),
        ("Dana", "Finch", "+1", "503", "5550145"),
        "alderfinch.example.com",
    ),
    (
        "TA-0418-2290-3327",
        "Orchard Street Books",
        "customer",
        CASCADE,
        "100251",
        "4a7e9c20-6b1d-4f83-a5c9-2b3c4d5e0251",
        "04-5550151",
        ("96 Orchard Street", "Floor 2", "Boston", "MA", "02118", "US"),
        ("Leah", "Whitman", "+1", "617", "5550151"),
        "orchardbooks.example.com",
    ),
    (
        "TA-0418-2290-3334",
        "Copperleaf Brewing Company",
        "customer",
        CASCADE,
        "100268",
        "7c2b8d41-3e5f-4a96-b0d7-3c4d5e6f0268",
        "84-5550168",
        ("2750 Blake Street", "", "Denver", "CO", "80205", "US"),
        ("Owen", "Castillo", "+1", "303", "5550168"),
        "copperleaf.example.com",
    ),
    (
        "TA-0418-2290-3341",
        "Blue Heron Clinic",
        "customer",
        CASCADE,
        "100274",
        "95d4e3f2-c1b0-4a89-9786-4d5e6f7a0274",
        "855501174RC0001",
        ("3388 Main Street", "", "Vancouver", "BC", "V5V 3M7", "CA"),
        ("Priya", "Nair", "+1", "604", "5550174"),
        "blueheron.example.com",
    ),
    (
        "TA-0418-2290-3358",
        "Havstad Seafood AS",
        "customer",
        FJORDLINE,
        "100280",
        "a1f6c8d3-7b2e-4095-8e64-5e6f7a8b0280",
        "NO955501805MVA",
        ("Bontelabo 2", "", "Bergen", "", "5003", "NO"),
        ("Eirik", "Havstad", "+47", "55", "550180"),
        "havstad.example.com",
    ),
    (
        "TA-0418-2290-3365",
        "Lindgren Fastigheter AB",
        "customer",
        FJORDLINE,
        "100296",
        "c9e2a7b4-58d1-4f36-9c03-6f7a8b9c0296",
        "SE555019601",
        ("Kungsportsavenyen 14", "", "Gothenburg", "", "411 36", "SE"),
        ("Sofia", "Lindgren", "+46", "31", "5550196"),
        "lindgren.example.com",
    ),
    (
        "TA-0418-2290-3372",
        "Marlow Dental Group",
        "customer",
        BRIGHTWATER,
        "100303",
        "d3b8f1a6-294c-4e75-a8d0-7a8b9c0d0303",
        "GB555010303",
        ("27 Queen Square", "", "Bristol", "", "BS1 4ND", "GB"),
        ("Tom", "Ashworth", "+44", "117", "4960103"),
        "marlowdental.example.com",
    ),
    (
        "TA-0418-2290-3389",
        "Quintero Logistics SL",
        "customer",
        BRIGHTWATER,
        "100317",
        "e5a0c3d8-6f47-4b92-8d15-8b9c0d1e0317",
        "ESB55503170",
        ("Calle de Alcala 112", "3B", "Madrid", "", "28009", "ES"),
        ("Lucia", "Quintero", "+34", "91", "5550117"),
        "quintero.example.com",
    ),
    (
        "TA-0418-2290-3396",
        "Ostrava Tooling s.r.o.",
        "customer",
        BRIGHTWATER,
        "100329",
        "f7c4e9b2-1a6d-4830-b5f8-9c0d1e2f0329",
        "CZ55503297",
        ("Nadrazni 164", "", "Ostrava", "", "702 00", "CZ"),
        ("Petra", "Novotna", "+420", "59", "5550129"),
        "ostrava-tooling.example.com",
    ),
)


def add_customers(at: datetime) -> dict[str, int]:
    """Add the tier accounts."""
    then = at - timedelta(days=120)
    rows = [
        TierAccount(
            id=pk,
            name=name,
            type=kind,
            parent_id=parent,
            external_id=external_id,
            external_uid=external_uid,
            tax_id=tax_id,
            owner_id=PROVIDER,
            hub_id=HUB,
            contact_info=_info(address, contact, domain),
            created=then,
            updated=then,
        )
        for (
            pk,
            name,
            kind,
            parent,
            external_id,
            external_uid,
            tax_id,
            address,
            contact,
            domain,
        ) in _ROWS
    ]
    return {"tier accounts": add_missing(rows)}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the account's values before it, and the requests about it.

    A request is (product, status, reason, hours after the change).
    """

    account: str
    days: float
    before: Mapping[str, Any]
    requests: tuple[tuple[str, str, str, float], ...]


_CHANGES = (
    Change(
        "TA-0418-2290-3372",
        0.83,
        {"address_line1": "3 Berkeley Square", "postal_code": "BS8 1HB"},
        ((SUITE, "pending", "", 0),),
    ),
    Change(
        "TA-0418-2290-3389",
        11.4,
        {"address_line2": "2A"},
        ((SUITE, "accepted", "", 3.2), (METER, "unsupported", UNSUPPORTED, 0)),
    ),
    Change(
        "TA-0418-2290-3334",
        7.26,
        {"address_line1": "2700 Blake Street"},
        ((SUITE, "ignored", "The address is not kept by Nimbus.", 20.5),),
    ),
)


def add_changes(at: datetime) -> dict[str, int]:
    """Add the second version of three customers, and the requests about them."""
    versions = requests = 0
    for change in _CHANGES:
        when = moment(at, -change.days)
        versions += _versions(change, when)
        now = TierAccountVersion.objects.filter(account=change.account, version=2).first()
        if now is not None:
            requests += add_missing(_requests(change, now, when))
    return {"tier account versions": versions, "tier account requests": requests}


def _versions(change: Change, when: datetime) -> int:
    """Add the versions of an account that has not changed since the seed; return their number."""
    fresh = TierAccount.objects.filter(pk=change.account, version=1, versions=None)
    row = fresh.filter(decommissioned=None).first()
    if row is None:
        return 0
    current = row.contact_info
    row.contact_info = {**current, **change.before}
    keep(row)
    row.contact_info, row.version, row.updated = current, 2, when
    row.save(update_fields=["version", "updated"])
    keep(row)
    return 2


def _requests(
    change: Change, version: TierAccountVersion, when: datetime
) -> list[TierAccountRequest]:
    products = Product.objects.in_bulk([product for product, *_ in change.requests])
    user = User.objects.filter(uid=VENDOR_USER).first()
    return [
        TierAccountRequest(
            pk=ids.child(f"{change.account}-001", "TAR-", taken + 1),
            status=status,
            account=version,
            scopes=["customer"],
            reason=reason,
            product=products[product],
            vendor_id=products[product].owner_id,
            provider_id=version.account.owner_id,
            assignee=user if status in ("accepted", "ignored") else None,
            created=when,
            updated=clock.shown(when + timedelta(hours=hours)),
        )
        for taken, (product, status, reason, hours) in enumerate(change.requests)
        if product in products
    ]
