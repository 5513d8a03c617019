"""The models of the Haxe SDK, for every list and get by both parties, every write and action."""

import json

from bodies import CONNECTIONS, CONTACT, METER, PLAIN, SUITE, purchase
from connect import Env
from connect.api import Query
from connect.models import (
    Account,
    Agreement,
    Asset,
    AssetRequest,
    Category,
    Conversation,
    Listing,
    ListingRequest,
    Marketplace,
    Param,
    Product,
    ProductConfigurationParam,
    Subscription,
    SubscriptionRequest,
    TierAccount,
    TierConfig,
    TierConfigRequest,
    UsageFile,
)
from connect.util import DateTime
from haxe import Refused, as_distributor, as_vendor, collection, described, ids, parsed, where

COLLECTIONS = (
    Account, Asset, AssetRequest, Conversation, Listing, ListingRequest, Marketplace, Product,
    Subscription, SubscriptionRequest, TierAccount, TierConfig, TierConfigRequest, UsageFile,
)  # fmt: skip


def each(model):
    """Return the ids of the first objects of a list, one of which is read again alone.

    The SDK takes a quarter of a second to make a model of a request.
    """
    pks = ids(model.list(Query().limit(3).orderBy("id")))
    assert model.get(pks[-1]).id == pks[-1]
    return pks


def everything():
    """Return the objects that one party sees, by collection."""
    result = {model.__name__.rpartition("_")[2]: each(model) for model in COLLECTIONS}
    for pk in result["Product"]:
        product = Product.get(pk)
        parameters = ids(product.listParameters(None))
        assert product.getParameter(parameters[0]).id == parameters[0]
        result[f"{pk} parameters"] = parameters
        result[f"{pk} items"] = ids(product.getItems())
        result[f"{pk} templates"] = ids(product.getTemplates())
        result[f"{pk} connections"] = ids(product.getConnections())
        result[f"{pk} actions"] = ids(product.listActions(None))
        result[f"{pk} configurations"] = [
            row.parameter.name for row in product.listConfigurations(None).toArray()
        ]
    return result


def order(product=PLAIN, params=(), **more):
    return parsed(AssetRequest, purchase(product, params, **more)).register()


def asked(kind, body):
    return parsed(kind, body).register()


def assets(query):
    return [asset["id"] for asset in json.loads(Env.getFulfillmentApi().listAssets(query))]


def requests(query):
    return [request["id"] for request in json.loads(Env.getFulfillmentApi().listRequests(query))]


SETUP = {
    "type": "setup",
    "configuration": {
        "product": {"id": SUITE}, "connection": {"id": CONNECTIONS[SUITE]},
        "account": {"name": "Haxe Resellers", "contact_info": CONTACT}, "tier_level": 1,
    },
    "params": [{"id": "partner_agreement", "value": "NSS-1-0077"}],
}  # fmt: skip
PERIOD = {
    "from": "2026-11-01T00:00:00+00:00", "to": "2026-12-01T00:00:00+00:00", "delta": 1,
    "uom": "monthly",
}  # fmt: skip
PARAMETER = {
    "name": "cost_unit", "title": "Cost unit", "description": "For the invoice.", "type": "text",
    "scope": "asset", "phase": "ordering", "constraints": {"required": False},
}  # fmt: skip
