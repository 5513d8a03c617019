"""The parts that orders and tier configurations have in common."""

from __future__ import annotations

from requests_queue.api.resources import NAMED, Field, Part
from requests_queue.api.schema import Id, Stamp
from requests_queue.catalog.configured_values import of_product
from requests_queue.catalog.representations.tier_accounts import TIER
from requests_queue.catalog.schema import ConfiguredValue, Environment

CONNECTION = Part(
    "ConnectionReference",
    "A product's connection to a hub, as orders have it.",
    {
        "id": Field(str, "public_id"),
        "type": Environment,
        "status": str,
        "provider": Field(NAMED),
        "vendor": Field(NAMED),
        "hub": Field(NAMED),
        "created_at": Field(Stamp, "created"),
    },
    named=("id", "type"),
)
CONTRACT = Part(
    "ContractReference",
    "A contract, as orders name it.",
    {"id": str, "type": str, "name": str},
    named=("id",),
)
# The id alone: the request of the subscription or configuration that was approved before.
PREVIOUS = Field(
    Id,
    lambda row: {"id": pk} if (pk := row.previous_approved_request_id) else None,
    optional=True,
)
TIERS = Part(
    "Tiers",
    "Who buys, and through whom.",
    {name: Field(TIER, empty={}) for name in ("customer", "tier1", "tier2")},
)
CONFIGURATION = Part(
    "ConfiguredValues",
    "What the vendor configured.",
    {
        "params": Field(
            list[ConfiguredValue], lambda row: of_product(row.product, row.marketplace_id)[0]
        )
    },
)
