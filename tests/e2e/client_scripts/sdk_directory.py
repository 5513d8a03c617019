"""Directory, products, templates, subscriptions of connect-sdk 22: every read, and the writes."""

import json

from bodies import METER, PLAIN, SUITE
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
from sdk import DISTRIBUTOR, VENDOR, Refused, described, only


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


def assets(query):
    return [one.id for one in directory.list_assets(query)]


products = ProductsResource(VENDOR)
PARAMETER = {
    "name": "cost_centre", "title": "Cost centre", "description": "For the invoice.",
    "type": "text", "scope": "asset", "phase": "ordering", "constraints": {"required": False},
}  # fmt: skip
PERIOD = {
    "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00.000Z", "delta": 1, "uom": "monthly",
}  # fmt: skip
