"""Tables of a dozen subscriptions and their requests, in every status and of every type.

`subscriptions.py` creates the rows and adds the values that follow from the queue's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from requests_queue.queues.fulfillment.creation import NO_HOLD
from requests_queue.seed.customers import BRIGHTWATER, CASCADE, FJORDLINE, MASTER
from requests_queue.seed.products import BACKUP, METER, SUITE


@dataclass(frozen=True, slots=True)
class Step:
    """One request: created `days` before the first seed, updated `hours` later."""

    type: str
    status: str
    days: float
    hours: float = 0
    items: Mapping[str, int] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    reason: str = ""
    # The planned date, in days after the first seed.
    planned: float | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """An asset and its requests, the oldest first."""

    id: str
    product: str
    customer: str
    tier1: str
    external_id: str
    external_uid: str
    steps: tuple[Step, ...]
    tier2: str | None = None


def _suite(domain: str, **more: Any) -> dict[str, Any]:
    """Return the ordering parameters of the suite."""
    return {"admin_email": f"security@{domain}", "customer_domain": domain, **more}


def _tenant(number: str) -> dict[str, Any]:
    """Return the fulfillment parameters of the suite."""
    return {
        "tenant_id": f"tn-{number}",
        "console_address": f"https://{number}.secure.nimbus.example.com",
    }


_PLAIN = (
    Subscription(
        "AS-5810-2277-4093",
        BACKUP,
        "TA-0418-2290-3310",
        CASCADE,
        "500245",
        "3e1f8a6c-7d20-4b95-8c3e-0a1b2c3d4093",
        (
            Step(
                "purchase",
                "approved",
                38.14,
                0.6,
                {"SKU_SEAT": 12, "SKU_STORAGE": 500},
                {
                    "region": "us",
                    "contact_email": "it@alderfinch.example.com",
                    "activation_id": "NB-77120-4093",
                    "console_url": "https://backup.nimbus.example.com/NB-77120-4093",
                },
            ),
            Step(
                "suspend",
                "failed",
                9.62,
                note="The customer is late with a payment.",
                reason=NO_HOLD,
            ),
        ),
    ),
    Subscription(
        "AS-5810-2277-4101",
        BACKUP,
        "TA-0418-2290-3327",
        CASCADE,
        "500251",
        "8b4d2e97-1c5a-4f60-9e82-1b2c3d4e4101",
        (
            Step(
                "purchase",
                "pending",
                0.09,
                0,
                {"SKU_SEAT": 25, "SKU_STORAGE": 1000},
                {"region": "us", "contact_email": "office@orchardbooks.example.com"},
                note="Please set up before the inventory on Monday.",
            ),
        ),
    ),
    Subscription(
        "AS-5810-2277-4118",
        BACKUP,
        "TA-0418-2290-3358",
        FJORDLINE,
        "500280",
        "d27c9b05-6e3f-4a18-b7d4-2c3d4e5f4118",
        (
            Step(
                "purchase",
                "approved",
                31.47,
                1.3,
                {"SKU_SEAT": 5},
                {
                    "region": "eu",
                    "activation_id": "NB-77120-4118",
                    "console_url": "https://backup.nimbus.example.com/NB-77120-4118",
                },
            ),
            Step("change", "pending", 0.31, 0, {"SKU_SEAT": 12, "SKU_STORAGE": 200}),
        ),
    ),
    Subscription(
        "AS-5810-2277-4125",
        BACKUP,
        "TA-0418-2290-3396",
        BRIGHTWATER,
        "500329",
        "60f5a3d8-9b7e-4c21-8f16-3d4e5f6a4125",
        (
            Step(
                "purchase",
                "failed",
                17.83,
                5.2,
                {"SKU_SEAT": 40},
                {"region": "us"},
                reason="The customer has a contract with Nimbus already: NB-70418-2210.",
            ),
        ),
        tier2=MASTER,
    ),
)

_SUITES = (
    Subscription(
        "AS-2934-6610-1178",
        SUITE,
        "TA-0418-2290-3372",
        BRIGHTWATER,
        "510303",
        "f19e7c42-5a8d-4036-a2b9-4e5f6a7b1178",
        (
            Step(
                "purchase",
                "inquiring",
                1.22,
                2.4,
                {"SKU_ENDPOINT": 60, "SKU_MAILBOX": 60, "SKU_DESK": 0},
                _suite("marlowdental.example.com", console_subdomain="dental", data_region="uk"),
                {"console_subdomain": "This name is taken: please choose another one."},
            ),
        ),
        tier2=MASTER,
    ),
    Subscription(
        "AS-2934-6610-1185",
        SUITE,
        "TA-0418-2290-3341",
        CASCADE,
        "510274",
        "2c8a5d71-e4b6-4f93-90c7-5f6a7b8c1185",
        (
            Step(
                "purchase",
                "draft",
                2.05,
                0.2,
                {"SKU_ENDPOINT": 18},
                {"company_alias": "Blue Heron", "data_region": "us"},
            ),
        ),
    ),
    Subscription(
        "AS-2934-6610-1192",
        SUITE,
        "TA-0418-2290-3365",
        FJORDLINE,
        "510296",
        "b5d0f3e8-27a9-4c64-8d5f-6a7b8c9d1192",
        (
            Step(
                "purchase",
                "tiers_setup",
                0.74,
                0,
                {"SKU_ENDPOINT_Y": 140, "SKU_ONBOARDING": 2},
                _suite(
                    "lindgren.example.com",
                    edition="advanced",
                    siem_url="https://siem.lindgren.example.com/collect",
                ),
            ),
        ),
    ),
    Subscription(
        "AS-2934-6610-1209",
        SUITE,
        "TA-0418-2290-3334",
        CASCADE,
        "510268",
        "94e7b2a6-0d3c-4851-b6fe-7b8c9d0e1209",
        (
            Step(
                "purchase",
                "approved",
                41.55,
                3.1,
                {"SKU_ENDPOINT": 30, "SKU_MAILBOX": 22},
                _suite("copperleaf.example.com", data_region="us") | _tenant("31209"),
            ),
            Step("renew", "approved", 22.38, 0.9, {"SKU_ENDPOINT": 34}),
            Step(
                "change",
                "revoked",
                15.91,
                30.5,
                {"SKU_MAILBOX": 10},
                planned=-3,
                note="Fewer mailboxes after the season.",
                reason="The customer keeps the mailboxes.",
            ),
            Step(
                "change",
                "scheduled",
                3.18,
                1.7,
                {"SKU_ENDPOINT": 45},
                planned=6,
                note="From the first of the month, please.",
            ),
        ),
    ),
    Subscription(
        "AS-2934-6610-1216",
        SUITE,
        "TA-0418-2290-3389",
        BRIGHTWATER,
        "510317",
        "0ad6c8f4-b32e-4597-a1c0-8c9d0e1f1216",
        (
            Step(
                "purchase",
                "approved",
                36.02,
                6.4,
                {"SKU_ENDPOINT": 85, "SKU_MAILBOX": 120, "SKU_DESK": 0},
                _suite(
                    "quintero.example.com",
                    company_alias="Quintero",
                    edition="advanced",
                    console_subdomain="quintero",
                    siem_url="https://siem.quintero.example.com/collect",
                    options={"weekly_report": True, "training": False},
                    site_address={
                        "address_line1": "Calle de Alcala 112",
                        "address_line2": "3B",
                        "city": "Madrid",
                        "state": "",
                        "postal_code": "28009",
                        "country": "ES",
                    },
                    security_phone={
                        "country_code": "+34",
                        "area_code": "91",
                        "phone_number": "5550118",
                        "extension": "",
                    },
                    scan_policy={"exclude": ["/srv/cold-storage"], "archives": True},
                )
                | _tenant("31216")
                | {"first_password": "change-me-31216"},
            ),
            Step(
                "adjustment",
                "approved",
                20.66,
                0.1,
                {},
                {"console_address": "https://quintero.secure.nimbus.example.com"},
                note="The console has moved to the customer's own name.",
            ),
            Step(
                "transfer",
                "approved",
                12.27,
                2.8,
                {"SKU_ENDPOINT": 90},
                note="From Iberia Reseller to Brightwater.",
            ),
        ),
        tier2=MASTER,
    ),
    Subscription(
        "AS-2934-6610-1223",
        SUITE,
        "TA-0418-2290-3310",
        CASCADE,
        "510245",
        "e8f2d9b0-4c71-4a35-9d68-9d0e1f2a1223",
        (
            Step(
                "purchase",
                "approved",
                33.71,
                4.5,
                {"SKU_ENDPOINT": 14},
                _suite("alderfinch.example.com", data_region="us") | _tenant("31223"),
            ),
            Step(
                "cancel",
                "revoking",
                6.44,
                52.3,
                planned=8,
                note="The office moves to another provider.",
                reason="The customer stays after all.",
            ),
        ),
    ),
)

_METERED = (
    Subscription(
        "AS-7046-3382-5520",
        METER,
        "TA-0418-2290-3389",
        BRIGHTWATER,
        "520317",
        "51c7e0a9-8f2b-4d46-b3e5-0e1f2a3b5520",
        (
            Step(
                "purchase",
                "approved",
                40.29,
                0.4,
                {"SKU_PLATFORM": 2, "SKU_CALLS": 0},
                {
                    "cost_center": "CC-4410",
                    "retention": "365",
                    "workspace_id": "ws-5520",
                    "ingest_key": "ik-5520-demo",
                },
            ),
            Step("suspend", "approved", 25.13, 0.2, note="The customer is late with a payment."),
            Step("resume", "approved", 23.94, 0.2, note="The customer has paid."),
            Step("suspend", "approved", 4.86, 0.3, note="The customer is late again."),
        ),
        tier2=MASTER,
    ),
    Subscription(
        "AS-7046-3382-5537",
        METER,
        "TA-0418-2290-3327",
        CASCADE,
        "520251",
        "a63b5f98-d1e4-4072-8cba-1f2a3b4c5537",
        (
            Step(
                "purchase",
                "approved",
                39.48,
                0.7,
                {"SKU_PLATFORM": 1, "SKU_CALLS": 0},
                {"report_email": "office@orchardbooks.example.com", "workspace_id": "ws-5537"},
            ),
            Step("change", "approved", 28.35, 1.1, {"SKU_PLATFORM": 3}),
            Step("cancel", "approved", 8.57, 0.5, note="The shop's API has been switched off."),
        ),
    ),
)

SUBSCRIPTIONS = (*_PLAIN, *_SUITES, *_METERED)
