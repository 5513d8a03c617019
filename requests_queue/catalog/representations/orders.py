"""The parts that orders and tier configurations have in common."""

from __future__ import annotations

from requests_queue.api.resources import NAMED, Field, Part
from requests_queue.api.schema import Free, Id, Stamp
from requests_queue.catalog.configured_values import of_product
from requests_queue.catalog.models import Product
from requests_queue.catalog.representations import PRODUCT_REFERENCE
from requests_queue.catalog.representations.products import capabilities
from requests_queue.catalog.representations.tier_accounts import TIER
from requests_queue.catalog.schema import ConfiguredValue, Environment


def show_capabilities(product: Product) -> None:
    """Let the representation of an order's product have its capabilities."""
    product.shows_capabilities = True  # type: ignore[attr-defined]


PRODUCT = Part(
    "OrderedProduct",
    "A product, as orders name it; with its capabilities where `select` names them.",
    {
        **PRODUCT_REFERENCE.keys,
        "capabilities": Field(
            Free,
            lambda row: (
                capabilities(row.capabilities) if hasattr(row, "shows_capabilities") else None
            ),
            optional=True,
        ),
    },
)
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
