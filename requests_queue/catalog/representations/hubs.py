"""Hubs, the connections of products to them, and marketplaces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q

from requests_queue.api.filter_tables import custom_text, text_fits
from requests_queue.api.filtering import ConnectFilters
from requests_queue.api.inside_json import inside_json
from requests_queue.api.resources import (
    CREATED,
    MADE,
    NAMED,
    Field,
    Many,
    Part,
    Resource,
    absent,
)
from requests_queue.api.schema import AnyReference, Stamp
from requests_queue.catalog.models import Agreement, Connection, Hub, Marketplace
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.catalog.schema import Environment

if TYPE_CHECKING:
    from dj_rql.filter_cls import FilterArgs

_INSTANCE = Part(
    "HubInstance",
    "The commerce system behind a hub.",
    {"id": Field(str, "instance_id"), "type": Field(str, "instance_type")},
    named=("id", "type"),
)
HUB = Resource(
    "Hub",
    "A distributor's system that orders come from.",
    {
        "id": str,
        "name": str,
        "description": str,
        "company": Field(PICTURED),
        "events": MADE,
        "stats": Part(
            "HubStats",
            "How many of what the caller sees of a hub.",
            {
                "connections": Field(int, "connection_count"),
                "marketplaces": Field(int, "marketplace_count"),
            },
        ),
        "instance": _INSTANCE,
    },
    model=Hub,
    search=("id", "name"),
)
_CONNECTION = {
    "id": Field(str, "public_id"),
    "type": Environment,
    "status": str,
    "provider": Field(PICTURED),
    "vendor": Field(PICTURED),
    "created_at": Field(Stamp, "created"),
}
CONNECTION = Resource(
    "Connection",
    "A product's connection to a hub.",
    {
        **_CONNECTION,
        "hub": Field(
            Part("ConnectedHub", "The hub of a connection.", {**NAMED.keys, "instance": _INSTANCE})
        ),
        "events": CREATED,
    },
    model=Connection,
    search=("id", "hub.name"),
    also=absent("product_version_type"),
)
HUB_CONNECTION = Resource(
    "HubConnection",
    "A product's connection, as its hub lists it.",
    {
        **_CONNECTION,
        "product": Field(
            Part(
                "ProductOfConnection",
                "A product, as a hub's connections name it.",
                {
                    "id": str,
                    "name": str,
                    "icon": Field(str, icon),
                    "short_description": str,
                    # Null while there is none.
                    "version": Field(int | None, lambda row: row.version or None),
                },
            )
        ),
    },
    model=Connection,
)
HUB_MARKETPLACE = Resource(
    "HubMarketplace",
    "A marketplace, as a hub lists it.",
    {
        "id": str,
        "name": str,
        "icon": Field(str, icon),
        "description": str,
        "external_id": Field(str, lambda row: row.hub_external_ids.get(row.seen_in, "")),
    },
    model=Marketplace,
)


class _DistinctFilters(ConnectFilters):
    """Filters that list a marketplace of two hubs once, also where both fit."""

    DISTINCT = True


def _is_of_agreement(data: FilterArgs) -> Q:
    """Return the condition that an agreement of a marketplace, or its program, has the id.

    The view's query has the account that asks as `caller`: all see the agreement of a marketplace's
    contracts, and its owner sees the others.
    """
    rows = Agreement.objects.filter(text_fits(data, "id", "parent__id"), marketplace=OuterRef("pk"))
    return Q(Exists(rows.filter(Q(parent=None) | Q(owner=OuterRef("caller")))))


MARKETPLACE = Resource(
    "Marketplace",
    "Where a distributor sells.",
    {
        "id": str,
        "name": str,
        "description": str,
        "owner": Field(PICTURED),
        "icon": Field(str, icon),
        "zone": str,
        "hubs": Many(
            Part(
                "HubOfMarketplace",
                "A hub of a marketplace, and what it calls it.",
                {"hub": Field(NAMED), "external_id": str},
            ),
            lambda row: [
                SimpleNamespace(hub=hub, external_id=row.hub_external_ids.get(hub.pk, ""))
                for hub in row.hubs.all()
            ],
        ),
        "active_contracts": Field(int, "active_contract_count"),
        "countries": Field(list[AnyReference], unfiltered=True),
        "currency": str,
        "stats": Part(
            "MarketplaceStats",
            "How many of what a marketplace has.",
            {"hubs": Field(int, "hub_count"), "contracts": Field(int, "contract_count")},
        ),
        "events": CREATED,
    },
    model=Marketplace,
    search=("id", "name"),
    filter_base=_DistinctFilters,
    also={
        "owner_id": "owner__id",
        "hubs.id": "hubs__id",
        "hubs.name": "hubs__name",
        **absent("alt_currency_1", "alt_currency_2", "locales.id", "locales.name"),
    },
    custom=[
        *inside_json(Marketplace, "countries", {"countries.id": "id", "countries.name": "name"}),
        custom_text("agreements.id", _is_of_agreement),
    ],
)
