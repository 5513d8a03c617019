"""The client on threads or on asyncio, by KIND: each flow is written once and runs on both.

Results of calls are passed to `result`, iterables to `rows`; the rest of the
client's interface is the same for both.
"""

import inspect
import os

from common import PROVIDER_KEY, URL, VENDOR_KEY, described
from connect.client import AsyncConnectClient, ClientError, ConnectClient

KIND = os.environ["KIND"]
HUB, CONTRACT, MARKETPLACE = "HB-7710-3391", "CRD-41020-88713-20954", "MP-40117"


def _connect(key):
    options = {}
    if KIND == "specs":
        options = {"use_specs": True, "specs_location": os.environ["SPECS"]}
    kind = AsyncConnectClient if KIND == "async" else ConnectClient
    return kind(key, endpoint=URL, **options)


vendor, distributor = _connect(VENDOR_KEY), _connect(PROVIDER_KEY)


async def result(response):
    return await response if inspect.isawaitable(response) else response


async def rows(query):
    if KIND == "async":
        return [row async for row in query]
    return list(query)


async def ids(query):
    return [row["id"] for row in await rows(query)]


async def refused(call):
    """Return the client's error of a call that must be refused."""
    try:
        await result(call())
    except ClientError as error:
        return described(error)
    raise AssertionError("the call was not refused")


def status_of(client):
    return client.response.status_code


async def template(product, scope="asset", kind="fulfillment"):
    """Return the id of a product's first template of a scope and type."""
    templates = vendor.products[product].templates.filter(scope=scope, type=kind)
    return (await result(templates.first()))["id"]


async def filled(request):
    """Set the parameters that an approval requires, as the vendor."""
    params = [
        {"id": param["id"], "value": f"filled-{request['id']}"}
        for param in request["asset"]["params"]
        if param["phase"] == "fulfillment" and param["constraints"]["required"]
    ]
    return await result(vendor.requests[request["id"]].update({"asset": {"params": params}}))


async def approved(request):
    await filled(request)
    body = {"template_id": await template(request["asset"]["product"]["id"])}
    return await result(vendor.requests[request["id"]]("approve").post(body))
