"""Marketplaces."""

from __future__ import annotations

from requests_queue.catalog.models import Marketplace
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.inside_json import inside_json
from requests_queue.resources import CREATED, NAMED, Constant, Field, Many, Part, Resource
from requests_queue.schema import AnyReference

MARKETPLACE = Resource(
    "Marketplace", "Where a distributor sells.",
    {
        "id": str,
        "name": str,
        "description": str,
        "owner": Field(PICTURED),
        "icon": Field(str, icon),
        "zone": str,
        "hubs": Many(
            Part(
                "HubOfMarketplace", "A hub of a marketplace, and what it calls it.",
                {"hub": NAMED, "external_id": Constant("", str)},
            ),
            lambda row: row.hubs.all(),
        ),
        "active_contracts": Field(int, "active_contract_count"),
        "countries": Field(list[AnyReference], unfiltered=True),
        "currency": str,
        "stats": Part(
            "MarketplaceStats", "How many of what a marketplace has.",
            {"hubs": Field(int, "hub_count"), "contracts": Field(int, "contract_count")},
        ),
        "events": CREATED,
    },
    model=Marketplace, search=("id", "name"),
    also={"owner_id": "owner__id", "hubs.id": "hubs__id", "hubs.name": "hubs__name"},
    custom=inside_json(
        Marketplace, "countries", {"countries.id": "id", "countries.name": "name"}
    ),
)  # fmt: skip
