"""Directory, products, templates, subscriptions of connect-sdk 22: every read, and the writes."""

import json

from bodies import METER, PLAIN, SUITE, hand_over
from connect.config import Config
from connect.models import Conversation
from connect.resources import AssetRequestResource, Directory, TemplateResource
from connect.resources.base import ApiClient
from connect.resources.billing_request import BillingRequestResource
from connect.resources.product import ProductsResource
from connect.resources.recurring_asset import RecurringAssetResource
from connect.resources.subscription import Subscription
from connect.resources.tier_account import TierAccountRequestResource
from connect.resources.tier_config_request import TierConfigRequestResource
from connect.rql import Query
from sdk import DISTRIBUTOR, VENDOR, only, refused


def each(rows, get):
    """Return the ids of a list, some of whose objects are read again alone."""
    some = rows[:: max(1, len(rows) // 3)]
    assert [get(one.id).id for one in some] == [one.id for one in some]
    return sorted(one.id for one in rows)


def everything(config):
    """Return the objects that one party sees, by collection."""
    directory, products = Directory(config), ProductsResource(config)
    result = {
        "assets": each(directory.list_assets(), directory.get_asset),
        "marketplaces": each(directory.list_marketplaces(), directory.get_marketplace),
        "products": each(directory.list_products(), directory.get_product),
        "tier_configs": each(directory.list_tier_configs(), directory.get_tier_config),
        "tier_accounts": each(directory.search_tier_accounts(None), directory.get_tier_account),
    }
    resources = {
        "requests": AssetRequestResource(config),
        "tier_requests": TierConfigRequestResource(config),
        "account_requests": TierAccountRequestResource(config),
        "billing": BillingRequestResource(config),
        "recurring": RecurringAssetResource(config),
    }
    result |= {name: each(one.list(), one.get) for name, one in resources.items()}
    for product in directory.list_products():
        items = products.items(product.id)
        result[f"items {product.id}"] = each(items.list(), items.get)
        result[f"templates {product.id}"] = sorted(t.id for t in product.get_templates(config))
        result[f"configurations {product.id}"] = sorted(
            row.parameter.name for row in product.get_product_configurations(config=config)
        )
        result[f"parameters {product.id}"] = [
            row["name"] for row in products.list_parameters(product.id)
        ]
    return result


directory = Directory(VENDOR)
suite = directory.get_product(SUITE)


def ids(rows):
    return [one.id for one in rows]


def assets(query):
    return ids(directory.list_assets(query))


listed = directory.list_assets(Query().ordering(["events.created.at", "id"]))
moment = listed[len(listed) // 2].events.created.at.isoformat()

queries = {
    "in": assets(Query().in_("product.id", [SUITE, METER]).order_by("id")),
    "out": assets(Query().out("product.id", [SUITE, METER]).order_by("id")),
    "dict": assets({"product.id": PLAIN, "status": ["active", "suspended"]}),
    "like": assets(Query().like("product.name", "Nimbus M*")),
    "ilike": assets(Query().ilike("product.name", "*suite")),
    "not_equal": assets(Query().not_equal("status", "active")),
    "since": assets(Query().greater_equal("events.created.at", f"{moment}+00:00")),
    "before": assets(Query().lesser("events.created.at", moment)),
    "ordering": assets(Query().ordering(["-events.created.at", "id"])),
    "paged": assets(Query().order_by("id").limit(2).offset(1)),
    "configured": ids(Directory(only(SUITE)).list_assets()),
}
bare = directory.list_assets(Query().select(["-items", "-params"]).limit(1))[0]

products = ProductsResource(VENDOR)
PARAMETER = {
    "name": "cost_centre", "title": "Cost centre", "description": "For the invoice.",
    "type": "text", "scope": "asset", "phase": "ordering", "constraints": {"required": False},
}  # fmt: skip


def parameters():
    text, status = products.create_parameter(METER, PARAMETER)
    parameter = json.loads(text)
    text, changed = products.update_parameter(METER, parameter["id"], {"title": "Cost center"})
    listed = [
        row["title"] for row in products.list_parameters(METER) if row["id"] == parameter["id"]
    ]
    _, deleted = products.delete_parameter(METER, parameter["id"])
    remaining = [row for row in products.list_parameters(METER) if row["id"] == parameter["id"]]
    return [status, changed, json.loads(text)["title"], listed, deleted, remaining]


def billing():
    """Return a billing request of the distributor, and one with the vendor's number."""
    asset = next(a for a in RecurringAssetResource(DISTRIBUTOR).list() if a.status == "active")
    item = next(i for i in asset.items if i.quantity != -1)
    created = Subscription(DISTRIBUTOR).create_billing_request(
        {
            "type": "provider",
            "asset": {"id": asset.id},
            "items": [{"id": item.global_id, "quantity": 1}],
            "period": {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00.000Z",
                       "delta": 1, "uom": "monthly"},
        }
    )  # fmt: skip
    vendors = BillingRequestResource(VENDOR)
    distributors = Subscription(DISTRIBUTOR)
    distributors.update_billing_request(
        created.id, {"attributes": {"provider": {"external_id": "7"}}}
    )
    own = BillingRequestResource(DISTRIBUTOR).get(created.id).attributes.provider.external_id
    one = next(row for row in vendors.list() if row.type == "vendor")
    text, status = vendors.update_billing_request(one.id, {"vendor": {"external_id": "INV-7"}})
    read = vendors.get(one.id).attributes
    return {
        "created": [created.id, created.type, created.asset.id == asset.id, len(created.items)],
        "hidden": created.id in [row.id for row in vendors.list()],
        "own": own,
        "attributes": [status, read.vendor.external_id, json.loads(text)["vendor"]],
    }


def conversation():
    """Return the messages of each party, sent with its Config."""
    request = AssetRequestResource(VENDOR).list(Query({"status": "pending"}))[0]
    conversation = request.get_conversation(VENDOR)
    messages = [
        conversation.add_message("Looking into it.", VENDOR),
        conversation.add_message("Thanks.", DISTRIBUTOR),
    ]
    text, _ = ApiClient(DISTRIBUTOR, f"conversations/{conversation.id}").get()
    read = Conversation.deserialize(text)
    return {
        "instance": read.instance_id == request.id,
        "messages": [message.text for message in messages],
        "read": [message.text for message in read.messages[-2:]],
        "creators": [message.creator.name for message in read.messages[-2:]],
        "conversation": {message.conversation for message in messages} == {conversation.id},
    }


template = TemplateResource(VENDOR).list(PLAIN)
approved = AssetRequestResource(VENDOR).list({"status": "approved", "product_id": PLAIN})[0]
rendered = TemplateResource(DISTRIBUTOR).render(template[0]["id"], approved.id).tile

hand_over(
    vendor=everything(VENDOR),
    distributor=everything(DISTRIBUTOR),
    queries=queries,
    moment=moment,
    assets=[[a.id, a.product.id, a.status, a.events.created.at.isoformat()] for a in listed],
    bare=[bare.items, bare.params],
    suite=[suite.name, suite.category.name, suite.owner.id, suite.version,
           suite.configurations.suspend_resume_supported],
    configuration=[
        row.value
        for row in suite.get_product_configurations({"parameter.scope": "product"}, VENDOR)
    ],
    parameters=parameters(),
    billing=billing(),
    conversation=conversation(),
    templates=[row["id"] for row in template],
    asset=approved.asset.id,
    rendered=rendered,
    contact=directory.get_asset(approved.asset.id).tiers.customer.contact_info.contact.email,
    global_config=Config.get_instance() is VENDOR,
    refusals={
        "missing": refused(lambda: directory.get_asset("AS-0000-0000-0000")),
        "key": refused(
            lambda: Directory(Config(api_url=VENDOR.api_url, api_key="SU-1:x")).list_products()
        ),
        "query": refused(lambda: directory.list_assets(Query().equal("color", "red"))),
        "parameter": refused(lambda: products.create_parameter(METER, {"name": "x"})),
        "template": refused(lambda: TemplateResource(VENDOR).render("TL-0", approved.id)),
        "request": refused(lambda: TemplateResource(VENDOR).render(template[0]["id"], "PR-0")),
    },
)  # fmt: skip
