"""What pages of the demo data show, and to whom."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from django.test import Client

from tests import html
from tests.portal.queues import DRAFT, INQUIRING, PENDING, PLAIN, SUITE, distributor, seeded, vendor

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

CHANGE = "PR-5810-2277-4118-002"
BILLED, HIDDEN = "BRV-2934-6610-1209-0001", "BRP-2934-6610-1216-0001"
ORDERS, PRODUCTS = "/queues/fulfillment/", "/products/"
NONE = ("No matching objects",)


class Page(NamedTuple):
    """A page, and the words that one party must and must not find on it."""

    path: str
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    status: int = 200
    viewer: str = "vendor"


PAGES = [
    Page("/webhooks/", ("No webhooks yet",)),
    Page("/deliveries/", ("No deliveries yet",)),
    Page("/queues/", ("pending 2",)),
    Page(ORDERS, (PENDING, "Orchard Street Books", "Pending 2", "Approved 15", "Next: Approve",
                  "Waiting for the customer's answers"), ("Next: Approve, by the vendor",)),
    Page(ORDERS, ("Next: Approve, by the vendor", "Waiting for the customer's answers"),
         viewer="distributor"),
    # The object class is an alias.
    Page("/queues/fulfillment_request/", (PENDING,)),
    Page("/queues/nothing/", status=404),
    Page(f"{ORDERS}?type=change", (CHANGE,), (PENDING,)),
    Page(f"{ORDERS}?product={PLAIN}", (PENDING,), (INQUIRING,)),
    Page(f"{ORDERS}?q=1178", (INQUIRING,), (PENDING,)),
    Page(f"{ORDERS}?q=orchard", (PENDING,), (INQUIRING,)),
    Page(f"{ORDERS}?q=510303", (INQUIRING,), (PENDING,)),
    Page(f"{ORDERS}?status=inquiring", (
        INQUIRING, "ID Type Status Product About Distributor Created Updated",
    ), (PENDING,)),
    Page(f"{ORDERS}?status=&q=orchard", (PENDING,), (INQUIRING,)),
    Page(f"{ORDERS}?type=nonsense&status=pending", (PENDING,), (INQUIRING,)),
    Page(f"{ORDERS}?q=%25", NONE),
    Page(f"{ORDERS}?status=revoked&product={PLAIN}", NONE),
    Page(f"{ORDERS}?status=approved", ("1–10 of 15",)),
    Page(f"{ORDERS}?status=approved&page=2", ("11–15 of 15",)),
    Page(f"{ORDERS}{PENDING}/", ("Waiting for Nimbus Inc. Next action: Approve.",)),
    Page(f"{ORDERS}{PENDING}/", ("Waiting for Nimbus Inc. Next action: Approve.",),
         viewer="distributor"),
    Page(f"{ORDERS}{DRAFT}/", ("Waiting for Northland Distribution. Next action: Purchase.",)),
    Page(f"{ORDERS}{DRAFT}/", ("Waiting for Northland Distribution. Next action: Purchase.",),
         viewer="distributor"),
    Page(f"{ORDERS}{INQUIRING}/", ("Waiting for the customer's answers.",), viewer="distributor"),
    Page(f"{ORDERS}{INQUIRING}/", (
        "Purchase fulfillment request", "Nimbus Secure Suite", "Console name", "console_subdomain",
        "This name is taken", "Data region", "United Kingdom (uk)", "0 → 60", "0 → unlimited",
        "Marlow Dental Group", "tom.ashworth@marlowdental.example.com", "AS-2934-6610-1178",
        "We need something from you", "Open the inquiring form", "marlow-dental is free",
        "Waiting for the customer's answers.",
    )),
    # A queue without statuses is a list. The provider's own requests are hidden from vendors.
    Page("/queues/billing/", (BILLED,), ("Board", "BRP-")),
    Page("/queues/billing/", (HIDDEN,), viewer="distributor"),
    Page("/queues/billing/?q=nobody", NONE),
    Page(f"/queues/billing/{HIDDEN}/", status=404),
    Page(f"/queues/billing/{HIDDEN}/json/", status=404),
    Page(PRODUCTS, (SUITE, PLAIN)),
    Page(PRODUCTS, (SUITE, PLAIN), viewer="distributor"),
    Page(f"{PRODUCTS}?q=secure", (SUITE,), (PLAIN,)),
    Page(f"{PRODUCTS}?q=362-917", (SUITE,)),
    Page(f"{PRODUCTS}?q=nonsense", ("No matching products.",)),
    Page(f"{PRODUCTS}{SUITE}/", (
        "Nimbus Secure Suite", "MP-40117", "CT-3380-6125-4471", "HB-7710-3391",
        "No webhooks for this product.",
    )),
    Page(f"{PRODUCTS}{SUITE}/items/", ("NSS-ENDPOINT-M", "NSS-DESK-PPU")),
    Page(f"{PRODUCTS}{SUITE}/parameters/", (
        "admin_email", "Required", "A mailbox that is read.", "3 characters at least",
        "One of: Standard, Advanced", "Depends on edition: advanced", "tier1",
        "Any of: Weekly report", "We create the console", "Shared: view", "Default: eu",
    )),
    Page(f"{PRODUCTS}{SUITE}/parameters/?phase=ordering", (), ("api_endpoint",)),
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.viewer} {page.path}")
def test_page_shows(vendor: Client, distributor: Client, page: Page) -> None:
    client = {"vendor": vendor, "distributor": distributor}[page.viewer]
    found = html.get(client, page.path, page.status)
    assert [words for words in page.shows if words not in found] == []
    assert [words for words in page.hides if words in found] == []
    # On narrow screens, cells have their heading by `data-label`.
    for table in found.all(".table-cards"):
        headings = [cell.text for cell in table.all("thead th")]
        for row in table.all("tbody tr"):
            cells = [cell for cell in row.children if isinstance(cell, html.Element)]
            labels = [cell.get("data-label") for cell in cells]
            pairs = zip(labels, headings, strict=True)
            assert [label or heading for label, heading in pairs] == headings
