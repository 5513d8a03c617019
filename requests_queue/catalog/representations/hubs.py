"""Hubs, and what is connected to them."""

from __future__ import annotations

from requests_queue.catalog.models import Connection, Hub, Marketplace
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.catalog.schema import Environment
from requests_queue.resources import MADE, Constant, Field, Part, Resource
from requests_queue.schema import Stamp

HUB = Resource(
    "Hub", "A distributor's system that orders come from.",
    {
        "id": str,
        "name": str,
        "description": str,
        "company": Field(PICTURED),
        "events": MADE,
        "stats": Part(
            "HubStats", "How many of what the caller sees of a hub.",
            {
                "connections": Field(int, "connection_count"),
                "marketplaces": Field(int, "marketplace_count"),
            },
        ),
        "instance": Part(
            "HubInstance", "The commerce system behind a hub.",
            {"id": Field(str, "instance_id"), "type": Field(str, "instance_type")},
        ),
    },
    model=Hub, search=("id", "name"),
)  # fmt: skip
HUB_CONNECTION = Resource(
    "HubConnection", "A product's connection, as its hub lists it.",
    {
        "id": Field(str, "public_id"),
        "type": Environment,
        "status": str,
        "provider": Field(PICTURED),
        "vendor": Field(PICTURED),
        "created_at": Field(Stamp, "created"),
        "product": Field(
            Part(
                "ProductOfConnection", "A product, as a hub's connections name it.",
                {
                    "id": str,
                    "name": str,
                    "icon": Field(str, icon),
                    "short_description": str,
                    "version": int,
                },
            )
        ),
    },
    model=Connection,
)  # fmt: skip
HUB_MARKETPLACE = Resource(
    "HubMarketplace", "A marketplace, as a hub lists it.",
    {
        "id": str,
        "name": str,
        "icon": Field(str, icon),
        "description": str,
        "external_id": Constant("", str),
    },
    model=Marketplace,
)  # fmt: skip
