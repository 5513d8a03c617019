"""Agreements: the fields that published clients read, and visibility."""

from __future__ import annotations

import pytest

from requests_queue.catalog.models import Listing
from requests_queue.seed.accounts import CONTRACT, MARKETPLACE, PROVIDER
from requests_queue.seed.products import BACKUP
from tests.api import Caller, ids, refused

AGREEMENT = "AGD-000-040-117"
# What connect-sdk and the Haxe SDK read.
FIELDS = {
    "id", "name", "type", "title", "description", "created", "updated", "owner", "marketplace",
    "version", "active", "version_created", "version_contracts", "stats", "events",
    "document_type", "auto_accept",
}  # fmt: skip


def test_vendor_and_provider_read_an_agreement(vendor: Caller, distributor: Caller) -> None:
    for party in (vendor, distributor):
        (row,) = party.get("/agreements").json
        assert row == party.get(f"/agreements/{AGREEMENT}").json
        assert set(row) == FIELDS
        assert (row["id"], row["type"], row["version"]) == (AGREEMENT, "distribution", 1)
        assert (row["owner"]["id"], row["marketplace"]["id"]) == (PROVIDER, MARKETPLACE)
        assert row["stats"] == {"contracts": row["version_contracts"], "versions": 1}
        contract = party.get(f"/contracts/{CONTRACT}").json
        assert contract["agreement"] == {"id": AGREEMENT, "name": row["name"]}


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [
        ("agreements", "type=distribution", 1),
        ("agreements", "eq(type,service)", 0),
        ("agreements", f"id={AGREEMENT}", 1),
        ("agreements", f"in(owner.id,({PROVIDER}))", 1),
        ("agreements", "like(name,*Northland*)&ordering(-created)", 1),
        ("contracts", f"agreement.id={AGREEMENT}", 1),
        ("contracts", "agreement.id=AGD-000-000-000", 0),
        ("contracts", "ilike(agreement.name,*northland*)", 1),
    ],
)
def test_agreement_filters(vendor: Caller, path: str, query: str, count: int) -> None:
    assert len(ids(vendor, f"/{path}?{query}")) == count


def test_products_of_an_agreement_and_their_listings(vendor: Caller, distributor: Caller) -> None:
    path = f"/agreements/{AGREEMENT}/products"
    for party in (vendor, distributor):
        rows = party.get(path).json
        assert {row["id"] for row in rows} == set(ids(party, "/products"))
        assert rows[0] == party.get(f"/products/{rows[0]['id']}").json
        assert ids(party, f"{path}/{BACKUP}/marketplaces") == [MARKETPLACE]
    Listing.objects.filter(product=BACKUP).update(status="unlisted")
    assert BACKUP not in ids(vendor, path)
    refused(vendor.get(f"{path}/{BACKUP}/marketplaces"), 404)
