"""Three products: without optional capabilities, with all of them, and with some.

The suite has media: a picture, and a video with its thumbnail.
"""

from __future__ import annotations

import struct
import zlib
from datetime import datetime, timedelta
from typing import Any

from requests_queue.catalog import versions
from requests_queue.catalog.models import Item, Product, ProductMedia, VersionPart
from requests_queue.seed.accounts import VENDOR
from requests_queue.seed.rows import add_missing

BACKUP, SUITE, METER = "PRD-814-505-018", "PRD-362-917-440", "PRD-590-284-731"

_SITE = "https://nimbus.example.com"


def _subscription(on: bool) -> dict[str, Any]:
    offline = "allowed" if on else "no"
    edits = {"editable_ordering_parameters": on, "editable_fulfillment_parameters": on}
    checks = {"validation": on, "inquiring_validation": on, "scheduling": on}
    return {
        "cancel": {"scheduling": on, "offline": offline},
        "change": {**edits, **checks, "simultaneous_adjustment": on},
        "parameter": {"versions": on},
        "purchase": {"scheduling": on},
        "resume": {"scheduling": on},
        "suspend": {"scheduling": on, "offline": offline},
        "renew": {"enable_renew": on, **edits, **checks},
        "transfer": {
            "enable_transfer": on,
            "transfer_autoapprove": on,
            **edits,
            "validation": on,
            "inquiring_validation": on,
        },
        "hold": on,
        "schema": "explicit",
    }


def capabilities(on: bool) -> dict[str, Any]:
    """Return the whole tree of `product.capabilities`, all on or all off.

    `ppu.ppu` and `tiers.configs.configs` are the switches of their branches.
    """
    return {
        "ppu": {
            "ppu": on,
            "schema": "QT",
            "dynamic": on,
            "predictive": on,
            "future": on,
            "late": on,
            "required_custom_fields": [],
        },
        "reservation": {"consumption": on},
        "cart": {"validation": on},
        "inquiring": {"validation": on},
        "tiers": {
            "updates": on,
            "configs": {
                "configs": on,
                "level": 2 if on else 1,
                "setup": {"inquiring_validation": on},
                "update": {"validation": on, "inquiring_validation": on},
            },
            "validation": on,
        },
        "subscription": _subscription(on),
    }


def _some() -> dict[str, Any]:
    """Return capabilities for hold, validated changes and pay-as-you-go items."""
    tree = capabilities(False)
    tree["ppu"]["ppu"] = True
    tree["subscription"]["hold"] = True
    tree["subscription"]["change"]["validation"] = True
    tree["subscription"]["change"]["editable_ordering_parameters"] = True
    tree["subscription"]["schema"] = "evergreen"
    return tree


def _ui(name: str, slug: str) -> dict[str, Any]:
    return {
        "description": f"{name} is ready to use minutes after the order.",
        "getting_started": (
            f"# Getting started with {name}\n\n"
            "1. Open the link in the activation message.\n"
            "2. Sign in as the administrator.\n"
            "3. Invite your colleagues."
        ),
        "download_links": [
            {"title": f"{name} agent", "url": f"{_SITE}/{slug}/agent", "visible_for": "user"},
            {"title": "Admin toolkit", "url": f"{_SITE}/{slug}/toolkit", "visible_for": "admin"},
        ],
        "documents": [{"title": "User guide", "url": f"{_SITE}/{slug}/guide.pdf"}],
        "languages": [{"id": "EN", "name": "English"}, {"id": "DE", "name": "German"}],
        "provisioning_message": f"{name} is being set up. This takes a few minutes.",
    }


_PRODUCTS: tuple[dict[str, Any], ...] = (
    {
        "id": BACKUP,
        "name": "Nimbus Backup",
        "external_id": "nimbus-backup",
        "version": 2,
        "category": {"id": "CAT-00104", "name": "Backup & Recovery"},
        "short_description": "Backup of servers and workstations, kept in your region.",
        "detailed_description": (
            "Nimbus Backup copies servers, workstations and mailboxes every night, keeps the "
            "copies in the region that you choose, and restores a single file or a whole machine."
        ),
        "capabilities": capabilities(False),
        "customer_ui_settings": _ui("Nimbus Backup", "backup"),
    },
    {
        "id": SUITE,
        "name": "Nimbus Secure Suite",
        "external_id": "nimbus-secure-suite",
        "version": 3,
        "category": {"id": "CAT-00131", "name": "Security"},
        "short_description": "Endpoint protection, mail filtering and a security desk in one.",
        "detailed_description": (
            "Nimbus Secure Suite protects endpoints and mailboxes, collects what it sees in one "
            "console, and forwards alerts to your SIEM or to our security desk."
        ),
        "capabilities": capabilities(True),
        "customer_ui_settings": _ui("Nimbus Secure Suite", "secure-suite"),
    },
    {
        "id": METER,
        "name": "Nimbus Meter",
        "external_id": "nimbus-meter",
        "version": 1,
        "category": {"id": "CAT-00119", "name": "Analytics"},
        "short_description": "Metering of API traffic, paid by the million of calls.",
        "detailed_description": (
            "Nimbus Meter counts the calls of your APIs, shows them by customer and by day, and "
            "is paid by what it counted."
        ),
        "capabilities": _some(),
        "customer_ui_settings": _ui("Nimbus Meter", "meter"),
    },
)

_USERS = {"id": "user", "title": "Users"}
_GB = {"id": "gb", "title": "GB"}
_DEVICES = {"id": "device", "title": "Devices"}
_HOURS = {"id": "hour", "title": "Hours"}
_CALLS = {"id": "million-calls", "title": "Million calls"}

# Product, local id, MPN, name, description, unit, and differences from a monthly reservation.
_ITEMS: tuple[tuple[str, str, str, str, str, dict[str, str], dict[str, Any]], ...] = (
    (BACKUP, "SKU_SEAT", "NB-SEAT", "Seat", "One protected user with all devices.", _USERS, {}),
    (
        BACKUP,
        "SKU_STORAGE",
        "NB-STORAGE-100",
        "Storage",
        "Storage for copies, in the region of the subscription.",
        _GB,
        {},
    ),
    (
        SUITE,
        "SKU_ENDPOINT",
        "NSS-ENDPOINT-M",
        "Endpoint protection",
        "One protected device, paid by the month.",
        _DEVICES,
        {},
    ),
    (
        SUITE,
        "SKU_ENDPOINT_Y",
        "NSS-ENDPOINT-Y",
        "Endpoint protection, yearly",
        "One protected device, paid by the year.",
        _DEVICES,
        {"period": "Yearly", "commitment": 12},
    ),
    (SUITE, "SKU_MAILBOX", "NSS-MAILBOX-M", "Mail filtering", "One filtered mailbox.", _USERS, {}),
    (
        SUITE,
        "SKU_ONBOARDING",
        "NSS-ONBOARDING",
        "Onboarding day",
        "A day with an engineer.",
        _HOURS,
        {"period": "OneTime"},
    ),
    (
        SUITE,
        "SKU_DESK",
        "NSS-DESK-PPU",
        "Security desk",
        "Hours of the security desk, as used.",
        _HOURS,
        {"type": "PPU", "precision": "Decimal(2)", "dynamic": True},
    ),
    (
        METER,
        "SKU_PLATFORM",
        "NM-PLATFORM",
        "Platform fee",
        "One metered environment.",
        {"id": "environment", "title": "Environments"},
        {},
    ),
    (
        METER,
        "SKU_CALLS",
        "NM-CALLS-PPU",
        "Metered calls",
        "Calls, as counted.",
        _CALLS,
        {"type": "PPU", "precision": "Decimal(2)"},
    ),
)


def add_products(at: datetime) -> dict[str, int]:
    """Add the products and their items."""
    then = at - timedelta(days=360)
    stamps = {"created": then, "updated": at - timedelta(days=45)}
    products = [
        Product(**row, owner_id=VENDOR, published=at - timedelta(days=350), **stamps)
        for row in _PRODUCTS
    ]
    added = {"products": add_missing(products)}
    items: list[Item] = []
    for product, local_id, mpn, name, description, unit, more in _ITEMS:
        number = sum(i.product_id == product for i in items) + 1
        items.append(
            Item(
                id=f"{product}-{number:04d}",
                product_id=product,
                local_id=local_id,
                mpn=mpn,
                name=name,
                description=description,
                unit=unit,
                position=number * 100,
                **more,
                **stamps,
            )
        )
    return added | {"items": add_missing(items)}


_CHANGES = ("The first version.", "New texts.", "New templates.")


def add_versions(at: datetime) -> dict[str, int]:
    """Add the versions of the products that have none, all with the same content."""
    ids, added = [row["id"] for row in _PRODUCTS], []
    for product in Product.objects.filter(pk__in=ids, versions=None).exclude(status="draft"):
        last = product.published or product.created
        for number in range(1, product.version + 1):
            then = last - timedelta(days=3 * (product.version - number))
            text = {"changes_description": _CHANGES[min(number, len(_CHANGES)) - 1]}
            added.append(versions.store(product, then, number=number, public=True, **text))
    parts = VersionPart.objects.filter(version__in=added).count()
    return {"versions": len(added), "version parts": parts}


_WIDTH, _HEIGHT = 320, 180
# Position, identifier, type, URL, colors at the top and at the bottom.
_ROWS = (
    (1, "PRDM-362-917-440-10001", "image", "", (24, 58, 110), (96, 148, 214)),
    (
        2,
        "PRDM-362-917-440-10002",
        "video",
        "https://www.youtube.com/watch?v=nimbus-suite",
        (38, 92, 72),
        (142, 204, 170),
    ),
)

Color = tuple[int, int, int]


def add_media(at: datetime) -> dict[str, int]:
    then = at - timedelta(days=350)
    rows = [
        ProductMedia(
            id=pk,
            product_id=SUITE,
            position=position,
            type=kind,
            url=url,
            content=picture(top, bottom),
            content_type="image/png",
            created=then,
            updated=then,
        )
        for position, pk, kind, url, top, bottom in _ROWS
        if Product.objects.filter(pk=SUITE).exists()
    ]
    return {"media": add_missing(rows)}


def picture(top: Color, bottom: Color) -> bytes:
    """Return a PNG with a gradient; the bytes are the same on every machine."""
    last = _HEIGHT - 1
    lines = b"".join(
        b"\0"
        + bytes((a * (last - y) + b * y) // last for a, b in zip(top, bottom, strict=True)) * _WIDTH
        for y in range(_HEIGHT)
    )
    head = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
