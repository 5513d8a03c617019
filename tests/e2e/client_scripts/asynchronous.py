"""The same client on asyncio: lists, pages, actions and errors."""

import asyncio

from common import PLAIN, PROVIDER_KEY, URL, VENDOR_KEY, client, described, hand_over, purchase
from connect.client import AsyncConnectClient, ClientError, R


async def main():
    created = client(PROVIDER_KEY).requests.create(purchase())
    connect = AsyncConnectClient(VENDOR_KEY, endpoint=URL)
    requests = connect.requests
    resource = requests[created["id"]]
    pending = requests.filter(R().status.eq("pending") & R().asset.product.id.eq(PLAIN))
    everything = [row["id"] async for row in requests.all().order_by("id").limit(10)]
    newest = await requests.all().order_by("-created", "id").first()
    # The client does not escape the plus of a date.
    since = [row["id"] async for row in requests.filter(R().created.ge(newest["created"]))]
    before = [row["id"] async for row in pending]
    counts = await asyncio.gather(requests.all().count(), pending.count())
    updated = await resource.update(
        {"asset": {"params": [{"id": "activation_id", "value": "async-1"}]}}
    )
    template = (
        await connect.products[PLAIN].templates.filter(scope="asset", type="fulfillment").first()
    )
    approved = await resource("approve").post({"template_id": template["id"]})
    refused = None
    try:
        await resource("approve").post({"template_id": template["id"]})
    except ClientError as error:
        refused = described(error)
    return {
        "created": created["id"],
        "everything": everything,
        "newest": newest,
        "since": since,
        "pending": before,
        "counts": counts,
        "updated": updated,
        "approved": approved,
        "refused": refused,
        "exists": await requests["PR-0000-0000-0000-000"].exists(),
        "slice": [row["id"] async for row in requests.all().order_by("id").limit(4)[3:14]],
    }


hand_over(**asyncio.run(main()))
