"""A product built by its vendor and then ordered; listings, contracts, places, conversations."""

from bodies import CONTACT, PLAIN, SUITE
from either import (
    CONTRACT,
    HUB,
    KIND,
    MARKETPLACE,
    approved,
    distributor,
    ids,
    refused,
    result,
    rows,
    status_of,
    vendor,
)

ITEM = {
    "name": "Vault", "mpn": "NV-1", "description": "A vault.", "type": "reservation",
    "period": "monthly", "precision": "integer", "unit": {"id": "gb"}, "commitment": {"count": 1},
}  # fmt: skip
PARAMETER = {
    "name": "vault_name", "title": "Name", "description": "What it is called.", "type": "text",
    "scope": "asset", "phase": "ordering", "constraints": {"required": True},
}  # fmt: skip
TEMPLATE = {
    "name": "Ready", "title": "Ready", "scope": "asset", "type": "fulfillment",
    "body": "# Vault {{ asset.params.vault_id.value }} of {{ asset.tiers.customer.name }}",
}  # fmt: skip
ACTION = {
    "action": "open", "name": "Open", "title": "Open", "type": "button", "scope": "asset",
    "description": "Opens the vault.",
}  # fmt: skip


async def _parts(product):
    """Create the parts of a product, change each once, and return them."""
    item = await result(product.items.create(ITEM))
    await result(product.items.create({**ITEM, "name": "Use", "mpn": "NV-2", "type": "ppu"}))
    spare = await result(product.items.create({**ITEM, "name": "Spare", "mpn": "NV-3"}))
    await result(product.items[spare["id"]].delete())
    await result(product.items[item["id"]].update({"description": "A safe place."}))
    twin = await refused(lambda: product.items.create({**ITEM, "mpn": "NV-9"}))
    await result(product.parameters.create(PARAMETER))
    vault_id = {"name": "vault_id", "title": "Vault", "phase": "fulfillment"}
    created = await result(product.parameters.create({**PARAMETER, **vault_id}))
    await result(product.parameters[created["id"]].update({"hint": "Of the vendor."}))
    endpoint = {"name": "endpoint", "phase": "configuration", "scope": "product", "type": "url"}
    await result(product.parameters.create({**PARAMETER, **endpoint, "constraints": {}}))
    template = await result(product.templates.create(TEMPLATE))
    await result(product.templates[template["id"]].update({"title": "Your vault"}))
    action = await result(product.actions.create(ACTION))
    await result(product.actions[action["id"]].update({"title": "Open it"}))
    await result(product.configurations.create(
        {"parameter": {"id": "endpoint"}, "value": "https://vault.example.com"}
    ))  # fmt: skip
    return {
        "twin": twin,
        **{
            name: await rows(product.collection(name).all())
            for name in ("items", "parameters", "templates", "actions", "configurations")
        },
    }


async def _listed(product_id):
    requests = vendor.collection("listing-requests")
    body = {"type": "new", "product_id": product_id, "contract_id": CONTRACT, "note": "Please."}
    created = await result(requests.create(body))
    await result(requests[created["id"]]("submit").post())
    of_distributor = distributor.collection("listing-requests")[created["id"]]
    await result(of_distributor("deploy").post())
    return await result(of_distributor("complete").post())


def _order(connection, item):
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": connection["id"]},
            "items": [{"id": item["id"], "quantity": "2"}],
            "params": [{"id": "vault_name", "value": "Papers"}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
            },
        },
    }


async def product():
    """Create a product by the API, list it, sell it, and render the text for the customer."""
    created = await result(vendor.products.create({"name": f"Vault ({KIND})", "external_id": KIND}))
    pk = created["id"]
    resource = vendor.products[pk]
    changed = await result(resource.update({
        "short_description": "Keeps things.",
        "capabilities": {"subscription": {"hold": True}, "ppu": {"schema": "QT"}},
    }))  # fmt: skip
    parts = await _parts(resource)
    connection = await result(resource.connections.create({"hub": {"id": HUB}}))
    order = _order(connection, parts["items"][0])
    unlisted = await refused(lambda: distributor.requests.create(order))
    listing = await _listed(pk)
    sold = await approved(await result(distributor.requests.create(order)))
    asset = vendor.assets[sold["asset"]["id"]]
    suspended = await result(distributor.requests.create(
        {"type": "suspend", "asset": {"id": sold["asset"]["id"]}}
    ))  # fmt: skip
    action = resource.actions[parts["actions"][0]["id"]]
    link = await result(action("actionLink").get(params={"asset_id": sold["asset"]["id"]}))
    return {
        "created": created, "changed": changed, "parts": parts, "connection": connection,
        "unlisted": unlisted, "listing": listing, "sold": sold, "suspended": suspended,
        "rendered": (await result(vendor.requests[sold["id"]]("render").get())).decode(),
        "asset_rendered": (await result(asset("render").get())).decode(),
        "of_asset": await ids(asset.collection("requests").all()), "link": link["link"],
        "deleted": await refused(lambda: resource.delete()),
        "not_theirs": await refused(lambda: distributor.products[pk].update({"name": "Mine"})),
    }  # fmt: skip


async def listings():
    """Update and remove a listing, and cancel a request."""
    created = await result(vendor.products.create({"name": f"Archive ({KIND})"}))
    listing = (await _listed(created["id"]))["listing"]["id"]
    requests = vendor.collection("listing-requests")
    of_distributor = distributor.collection("listing-requests")
    removal = await result(requests.create({"type": "remove", "listing_id": listing}))
    pk = removal["id"]
    too_early = await refused(lambda: of_distributor[pk]("deploy").post())
    await result(requests[pk]("submit").post())
    await result(of_distributor[pk]("assign").post())
    assigned = await result(of_distributor[pk].get())
    await result(of_distributor[pk]("refine").post())
    refined = await result(requests[pk].get())
    not_theirs = await refused(lambda: of_distributor[pk]("submit").post())
    await result(requests[pk]("submit").post())
    await result(of_distributor[pk]("deploy").post())
    await result(of_distributor[pk]("complete").post())
    update = await refused(lambda: requests.create({"type": "update", "listing_id": listing}))
    again = await result(requests.create(
        {"type": "new", "product_id": created["id"], "contract_id": CONTRACT}
    ))  # fmt: skip
    await result(requests[again["id"]]("submit").post())
    canceled = await result(of_distributor[again["id"]]("cancel").post())
    return {
        "removal": removal, "too_early": too_early, "assigned": assigned, "refined": refined,
        "not_theirs": not_theirs, "update": update, "canceled": canceled,
        "listing": await result(vendor.listings[listing].get()),
        "changed": await result(distributor.listings[listing].update({"status": "listed"})),
        "requests": await ids(requests.filter(listing__id=listing).order_by("id")),
        "completed": await result(requests.filter(listing__id=listing, state="completed").count()),
        "listed": await result(
            distributor.listings.filter(product__id=SUITE, status="listed").count()
        ),
    }  # fmt: skip


async def places():
    """Read accounts, hubs, marketplaces and contracts; write a hub."""
    contract = vendor.contracts[CONTRACT]
    hub = await result(distributor.hubs.create({
        "name": f"Shop ({KIND})", "description": "Sells.", "instance_id": KIND,
        "instance_type": "api",
    }))  # fmt: skip
    changed = await result(distributor.hubs[hub["id"]].update({"name": f"Store ({KIND})"}))
    return {
        "accounts": [
            (await result(one.accounts.all().first()))["id"] for one in (vendor, distributor)
        ],
        "account": (await result(vendor.accounts["VA-610-138"].get()))["type"],
        "contract": await result(contract.get()),
        "contracts": await ids(distributor.contracts.filter(status="active", type="distribution")),
        "enroll": await refused(lambda: contract("enroll").post()),
        "sign": await refused(lambda: contract("sign").post()),
        "hub": hub, "changed": changed,
        "deleted": [await result(distributor.hubs[hub["id"]].delete()), status_of(distributor)],
        "in_use": await refused(lambda: distributor.hubs[HUB].delete()),
        "hubs": await ids(vendor.hubs.all()),
        "connections": await ids(vendor.hubs[HUB].connections.filter(product__id=PLAIN)),
        "marketplaces": await ids(distributor.hubs[HUB].marketplaces.all()),
        "marketplace": await result(vendor.marketplaces[MARKETPLACE].get()),
        "currencies": await rows(vendor.marketplaces.all().values_list("id", "currency")),
        "of_product": await ids(vendor.products[PLAIN].connections.filter(hub__id=HUB)),
    }  # fmt: skip


async def conversations():
    """Write messages about a request, also private ones, and close the conversation."""
    request = await result(vendor.requests.filter(status="pending").order_by("-created").first())
    talk = await result(vendor.conversations.filter(instance_id=request["id"]).first())
    of_vendor, of_distributor = (one.conversations[talk["id"]] for one in (vendor, distributor))
    message = await result(of_vendor.messages.create({"text": "Working on it.", "type": "message"}))
    private = await result(of_vendor.messages.create({"text": "Ask Ada.", "type": "private"}))
    response = await result(of_distributor.messages.create({"text": "Thank you."}))
    edited = await result(of_distributor.messages[response["id"]].update({"text": "Thanks."}))
    visible = await ids(
        of_distributor.messages.filter(type__in=["message", "private"]).order_by("id")
    )
    closed = await result(of_distributor("close").post())
    return {
        "request": request["id"], "talk": talk, "message": message, "private": private,
        "edited": edited, "visible": visible, "closed": closed,
        "inside": [row["id"] for row in (await result(of_vendor.get()))["messages"]],
        "refused": await refused(lambda: of_vendor.messages.create({"text": "One more."})),
    }  # fmt: skip
