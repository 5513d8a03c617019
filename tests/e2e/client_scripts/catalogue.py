"""A product built by its vendor and then ordered; listings, contracts, places, conversations."""

from bodies import CONTACT, PLAIN, SUITE
from either import (
    CONTRACT,
    HUB,
    KIND,
    MARKETPLACE,
    approved,
    distributor,
    got,
    ids,
    refused,
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
    """Give a product its parts, change each once, and return them as they then are."""
    item = await got(product.items.create(ITEM))
    await got(product.items.create({**ITEM, "name": "Use", "mpn": "NV-2", "type": "ppu"}))
    spare = await got(product.items.create({**ITEM, "name": "Spare", "mpn": "NV-3"}))
    await got(product.items[spare["id"]].delete())
    await got(product.items[item["id"]].update({"description": "A safe place."}))
    twin = await refused(lambda: product.items.create({**ITEM, "mpn": "NV-9"}))
    await got(product.parameters.create(PARAMETER))
    vault_id = {"name": "vault_id", "title": "Vault", "phase": "fulfillment"}
    made = await got(product.parameters.create({**PARAMETER, **vault_id}))
    await got(product.parameters[made["id"]].update({"hint": "Of the vendor."}))
    endpoint = {"name": "endpoint", "phase": "configuration", "scope": "product", "type": "url"}
    await got(product.parameters.create({**PARAMETER, **endpoint, "constraints": {}}))
    template = await got(product.templates.create(TEMPLATE))
    await got(product.templates[template["id"]].update({"title": "Your vault"}))
    action = await got(product.actions.create(ACTION))
    await got(product.actions[action["id"]].update({"title": "Open it"}))
    await got(product.configurations.create(
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
    made = await got(requests.create(body))
    await got(requests[made["id"]]("submit").post())
    theirs = distributor.collection("listing-requests")[made["id"]]
    await got(theirs("deploy").post())
    return await got(theirs("complete").post())


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
    """Build a product through the API, list it, sell it, and render what the customer reads."""
    made = await got(vendor.products.create({"name": f"Vault ({KIND})", "external_id": KIND}))
    pk = made["id"]
    resource = vendor.products[pk]
    changed = await got(resource.update({
        "short_description": "Keeps things.",
        "capabilities": {"subscription": {"hold": True}, "ppu": {"schema": "QT"}},
    }))  # fmt: skip
    parts = await _parts(resource)
    connection = await got(resource.connections.create({"hub": {"id": HUB}}))
    order = _order(connection, parts["items"][0])
    unlisted = await refused(lambda: distributor.requests.create(order))
    listing = await _listed(pk)
    sold = await approved(await got(distributor.requests.create(order)))
    asset = vendor.assets[sold["asset"]["id"]]
    suspended = await got(distributor.requests.create(
        {"type": "suspend", "asset": {"id": sold["asset"]["id"]}}
    ))  # fmt: skip
    action = resource.actions[parts["actions"][0]["id"]]
    link = await got(action("actionLink").get(params={"asset_id": sold["asset"]["id"]}))
    return {
        "made": made, "changed": changed, "parts": parts, "connection": connection,
        "unlisted": unlisted, "listing": listing, "sold": sold, "suspended": suspended,
        "rendered": (await got(vendor.requests[sold["id"]]("render").get())).decode(),
        "asset_rendered": (await got(asset("render").get())).decode(),
        "of_asset": await ids(asset.collection("requests").all()), "link": link["link"],
        "deleted": await refused(lambda: resource.delete()),
        "not_theirs": await refused(lambda: distributor.products[pk].update({"name": "Mine"})),
    }  # fmt: skip


async def listings():
    """Update and remove a listing of its own, and take one back."""
    made = await got(vendor.products.create({"name": f"Archive ({KIND})"}))
    listing = (await _listed(made["id"]))["listing"]["id"]
    requests = vendor.collection("listing-requests")
    theirs = distributor.collection("listing-requests")
    removal = await got(requests.create({"type": "remove", "listing_id": listing}))
    pk = removal["id"]
    too_early = await refused(lambda: theirs[pk]("deploy").post())
    await got(requests[pk]("submit").post())
    await got(theirs[pk]("assign").post())
    assigned = await got(theirs[pk].get())
    await got(theirs[pk]("refine").post())
    refined = await got(requests[pk].get())
    not_theirs = await refused(lambda: theirs[pk]("submit").post())
    await got(requests[pk]("submit").post())
    await got(theirs[pk]("deploy").post())
    await got(theirs[pk]("complete").post())
    update = await refused(lambda: requests.create({"type": "update", "listing_id": listing}))
    again = await got(requests.create(
        {"type": "new", "product_id": made["id"], "contract_id": CONTRACT}
    ))  # fmt: skip
    await got(requests[again["id"]]("submit").post())
    canceled = await got(theirs[again["id"]]("cancel").post())
    return {
        "removal": removal, "too_early": too_early, "assigned": assigned, "refined": refined,
        "not_theirs": not_theirs, "update": update, "canceled": canceled,
        "listing": await got(vendor.listings[listing].get()),
        "changed": await got(distributor.listings[listing].update({"status": "listed"})),
        "found": await ids(requests.filter(listing__id=listing).order_by("id")),
        "completed": await got(requests.filter(listing__id=listing, state="completed").count()),
        "listed": await got(
            distributor.listings.filter(product__id=SUITE, status="listed").count()
        ),
    }  # fmt: skip


async def places():
    """Read accounts, hubs, marketplaces and contracts; write a hub."""
    contract = vendor.contracts[CONTRACT]
    hub = await got(distributor.hubs.create({
        "name": f"Shop ({KIND})", "description": "Sells.", "instance_id": KIND,
        "instance_type": "api",
    }))  # fmt: skip
    changed = await got(distributor.hubs[hub["id"]].update({"name": f"Store ({KIND})"}))
    return {
        "accounts": [
            (await got(one.accounts.all().first()))["id"] for one in (vendor, distributor)
        ],
        "account": (await got(vendor.accounts["VA-610-138"].get()))["type"],
        "contract": await got(contract.get()),
        "contracts": await ids(distributor.contracts.filter(status="active", type="distribution")),
        "enroll": await refused(lambda: contract("enroll").post()),
        "sign": await refused(lambda: contract("sign").post()),
        "hub": hub, "changed": changed,
        "deleted": [await got(distributor.hubs[hub["id"]].delete()), status_of(distributor)],
        "in_use": await refused(lambda: distributor.hubs[HUB].delete()),
        "hubs": await ids(vendor.hubs.all()),
        "connections": await ids(vendor.hubs[HUB].connections.filter(product__id=PLAIN)),
        "marketplaces": await ids(distributor.hubs[HUB].marketplaces.all()),
        "marketplace": await got(vendor.marketplaces[MARKETPLACE].get()),
        "currencies": await rows(vendor.marketplaces.all().values_list("id", "currency")),
        "of_product": await ids(vendor.products[PLAIN].connections.filter(hub__id=HUB)),
    }  # fmt: skip


async def conversations():
    """Talk about a request, in private too, and end the talk."""
    request = await got(vendor.requests.filter(status="pending").order_by("-created").first())
    talk = await got(vendor.conversations.filter(instance_id=request["id"]).first())
    mine, theirs = (one.conversations[talk["id"]] for one in (vendor, distributor))
    said = await got(mine.messages.create({"text": "Working on it.", "type": "message"}))
    private = await got(mine.messages.create({"text": "Ask Ada.", "type": "private"}))
    response = await got(theirs.messages.create({"text": "Thank you."}))
    edited = await got(theirs.messages[response["id"]].update({"text": "Thanks."}))
    seen = await ids(theirs.messages.filter(type__in=["message", "private"]).order_by("id"))
    closed = await got(theirs("close").post())
    return {
        "request": request["id"], "talk": talk, "said": said, "private": private,
        "edited": edited, "seen": seen, "closed": closed,
        "inside": [row["id"] for row in (await got(mine.get()))["messages"]],
        "refused": await refused(lambda: mine.messages.create({"text": "One more."})),
    }  # fmt: skip
