"""All queues but fulfillment's own actions, and the directory, on the client of a KIND."""

import asyncio

import catalog
import money
import tiers
import usage
import validation
from common import hand_over

FLOWS = (
    tiers.by_order, tiers.by_api, tiers.accounts, money.billing, usage.accepted, usage.rejected,
    usage.records, catalog.product, catalog.listings, catalog.places,
    catalog.conversations, validation.cart, validation.tier_cart, validation.unreachable,
)  # fmt: skip


async def main():
    return {f"{flow.__module__}_{flow.__name__}": await flow() for flow in FLOWS}


hand_over(**asyncio.run(main()))
