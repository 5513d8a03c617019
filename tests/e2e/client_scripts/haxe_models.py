"""The models of the Haxe SDK: every list and get by both parties, every write and action."""

import json

from bodies import CONNECTIONS, CONTACT, METER, PLAIN, SUITE, hand_over, purchase
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
from haxe import as_distributor, as_vendor, collection, ids, parsed, refused, where

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


def requests():
    """Return the results of the calls of a request."""
    as_distributor()
    bought = order(METER)
    as_vendor()
    request = AssetRequest.get(bought.id)
    result = {"created": [bought.status, bought.type, bought.asset.id == request.asset.id]}
    by_id = request.assign("UR-426-913-070")
    by_email = request.assign("maya.ortiz@nimbus.example.com")
    result["assigned"] = [json.loads(one.assignee)["id"] for one in (by_id, by_email)]
    request.asset.getParamById("workspace_id").value = "ws-1"
    request.note = "Manually."
    updated = request.update(None)
    result["updated"] = [updated.note, updated.asset.getParamById("workspace_id").value]
    same = updated.update(None)
    result["unchanged"] = same is updated
    cost = updated.asset.getParamById("cost_center")
    cost.valueError = "Which?"
    updated.update(collection(cost))
    inquired = updated.inquire(None)
    result["inquired"] = [inquired.status, inquired.asset.getParamById("cost_center").valueError]
    result["pended"] = updated.pend().status
    result["approved"] = updated.approveByTemplate("TL-794-452-001").asset.status
    result["new"] = [item.mpn for item in request.asset.getNewItems().toArray()]
    result["lookups"] = [
        request.asset.getItemByMpn("NM-PLATFORM").id,
        request.asset.getItemByGlobalId(f"{METER}-0001").quantity,
        request.needsMigration(),
    ]
    as_distributor()
    body = {"type": "change", "asset": {"id": bought.asset.id, "items": [
        {"id": f"{METER}-0001", "quantity": 9}]}}  # fmt: skip
    change = parsed(AssetRequest, body).register()
    as_vendor()
    changed = AssetRequest.get(change.id).approveByTile("# Changed")
    result["changed"] = [item.quantity for item in changed.asset.getChangedItems().toArray()]
    result["removed"] = changed.asset.getRemovedItems().length()
    result["requests"] = sorted(
        row.type for row in Asset.get(bought.asset.id).getRequests().toArray()
    )
    result["rendered"] = Env.getFulfillmentApi().renderTemplate("TL-794-452-001", bought.id)[:14]
    nowhere = parsed(AssetRequest, {"type": "change", "asset": {"id": "AS-0"}}).register()
    result["unknown"] = [nowhere, AssetRequest.get("PR-0"), Asset.get("AS-0")]
    as_distributor()
    result["incomplete"] = order(SUITE).status
    return result


def tiers():
    """Return the results of the calls of a tier configuration request."""
    as_distributor()
    setup = parsed(
        TierConfigRequest,
        {
            "type": "setup",
            "configuration": {
                "product": {"id": SUITE},
                "connection": {"id": CONNECTIONS[SUITE]},
                "account": {"name": "Haxe Resellers", "contact_info": CONTACT},
                "tier_level": 1,
            },
            "params": [{"id": "partner_agreement", "value": "NSS-1-0077"}],
        },
    ).register()
    as_vendor()
    request = TierConfigRequest.get(setup.id)
    result = {"created": [setup.status, setup.type]}
    result["assigned"] = [request.assign(), TierConfigRequest.get(setup.id).assignee.name]
    result["unassigned"] = [request.unassign(), TierConfigRequest.get(setup.id).assignee.id]
    agreement = request.getParamById("partner_agreement")
    agreement.valueError = "Which?"
    request.update(collection(agreement))
    result["inquired"] = [request.inquire(), TierConfigRequest.get(setup.id).status]
    result["pended"] = [request.pend(), TierConfigRequest.get(setup.id).status]
    request = TierConfigRequest.get(setup.id)
    request.getParamById("partner_tenant").value = "pt-9"
    request.notes = "Checked."
    updated = request.update(None)
    result["updated"] = [updated.notes, updated.getParamById("partner_tenant").value]
    result["approved"] = [updated.approveByTemplate("TL-561-035-001"),
                         TierConfigRequest.get(setup.id).status]  # fmt: skip
    result["again"] = updated.approveByTemplate("TL-561-035-001")
    account = updated.configuration.account
    config = account.getTierConfig(SUITE, 1)
    result["config"] = [config.id == updated.configuration.id, config.status,
                       config.getParamById("partner_tenant").value]  # fmt: skip
    result["none"] = account.getTierConfig(SUITE, 2)
    update = parsed(
        TierConfigRequest,
        {"type": "update", "configuration": {"id": config.id},
         "params": [{"id": "partner_agreement", "value": "NSS-1-0078"}]},
    ).register()  # fmt: skip
    result["update"] = [update.type, update.fail("No."), TierConfigRequest.get(update.id).reason]
    asset = Asset.list(where(product__id=SUITE, status="active").limit(1)).get(0)
    result["of_asset"] = [asset.getTier1Config() is not None, asset.getCustomerConfig()]
    return result


def listings():
    """Return the results of the calls of listing requests and listings."""
    as_vendor()
    listing = next(row for row in Listing.list(where(status="listed")).toArray()
                   if row.product.id == PLAIN)  # fmt: skip
    request = parsed(ListingRequest, {"type": "update", "listing": {"id": listing.id}}).register()

    def state():
        return ListingRequest.get(request.id).state

    result = {"created": request.state, "submitted": [request.changeToReviewing(), state()]}
    result["not_the_vendors"] = request.changeToDeploying()
    as_distributor()
    result["assigned"] = [request.assign(), request.unassign()]
    result["refined"] = [request.changeToDraft(), state()]
    as_vendor()
    request.changeToReviewing()
    as_distributor()
    result["deploying"] = [request.changeToDeploying(), state()]
    result["completed"] = [request.changeToCompleted(), state()]
    one = Listing.get(listing.id)
    one.status = "unlisted"
    result["put"] = one.put().status
    as_vendor()
    anew = parsed(
        ListingRequest,
        {"type": "new", "product": {"id": PLAIN}, "listing": {"contract": {"id": one.contract.id}}},
    ).register()
    anew.changeToReviewing()
    as_distributor()
    result["new"] = [anew.type, anew.changeToCanceled(), ListingRequest.get(anew.id).state]
    one = Listing.get(listing.id)
    one.status = "listed"
    result["back"] = one.put().status
    return result


def billing():
    """Return the results of the calls of billing requests."""
    as_distributor()
    asset = Subscription.list(where(status="active", product__id=PLAIN).limit(1)).get(0)
    body = {
        "type": "provider",
        "asset": {"id": asset.id},
        "items": [{"id": asset.items.get(0).globalId, "quantity": 1}],
        "period": {"from": "2026-11-01T00:00:00+00:00", "to": "2026-12-01T00:00:00+00:00",
                   "delta": 1, "uom": "monthly"},
        "attributes": {"provider": {"external_id": "INV-1"}},
    }  # fmt: skip
    request = parsed(SubscriptionRequest, body)
    # The model loses `from`, which is a keyword of Python.
    lost = request.register()
    request.period._hx_from = DateTime(2026, 10, 1, 0, 0, 0)
    created = request.register()
    created.attributes.provider.set("external_id", "INV-2")
    result = {
        "lost": lost,
        "created": [created.type, created.asset.id == asset.id, created.items.length()],
        "updated": created.updateAttributes(),
    }
    read = json.loads(Env.getSubscriptionsApi().getBillingRequest(created.id))
    result["period"], result["attributes"] = read["period"], read["attributes"]
    as_vendor()
    result["hidden"] = SubscriptionRequest.get(created.id)
    return result


def products():
    """Return the results of a vendor's writes to a product."""
    as_vendor()
    product = Product.get(METER)
    body = {"name": "cost_unit", "title": "Cost unit", "description": "For the invoice.",
            "type": "text", "scope": "asset", "phase": "ordering",
            "constraints": {"required": False}}  # fmt: skip
    parameter = product.createParameter(parsed(Param, body))
    parameter.title = "Cost unit (internal)"
    updated = product.updateParameter(parameter)
    suite = Product.get(SUITE)
    value = {"parameter": {"id": "api_endpoint"}, "value": "https://haxe.nimbus.example.com"}
    configured = suite.setConfigurationParam(parsed(ProductConfigurationParam, value))
    return {
        "parameter": [parameter.name, updated.title, updated.constraints.required],
        "deleted": [product.deleteParameter(parameter.id), product.getParameter(parameter.id)],
        "configured": configured and configured.value,
        "actions": [suite.getAction(pk).name for pk in ids(suite.listActions(None))],
        "filtered": ids(suite.listItems(where(mpn=suite.getItems().get(1).mpn))),
        "not_served": {
            "versions": suite.getVersions().length(),
            "version": suite.getVersion(1),
            "agreements": suite.listAgreements(None).length(),
            "media": [suite.listMedia(None).length(), suite.createMedia()],
        },
    }


def conversations():
    """Return the messages about a request, and about a draft without a conversation."""
    as_distributor()
    draft = order(SUITE, [{"id": "admin_email", "value": "it@example.com"}], status="draft")
    begun = Conversation.create(draft.id, "Prices")
    begun.createMessage("May we have a discount?")
    read = Conversation.get(begun.id)
    as_vendor()
    conversation = AssetRequest.get(draft.id).getConversation()
    return {
        "draft": draft.status,
        "begun": [begun.topic, begun.instanceId == draft.id],
        "messages": [message.text for message in read.messages.toArray()],
        "visible": [message.text for message in conversation.messages.toArray()],
        "creator": read.messages.get(0).creator.name,
    }


def queries():
    """Return assets by every operator of a query."""
    as_vendor()
    oldest = Query().ordering(collection("events.created.at")).offset(5).limit(1)
    at = Asset.list(oldest).get(0).events.created.at.toString()
    fulfillment = Env.getFulfillmentApi()

    def assets(query):
        return [asset["id"] for asset in json.loads(fulfillment.listAssets(query))]

    def requests(query):
        return [request["id"] for request in json.loads(fulfillment.listRequests(query))]

    return {
        "moment": at,
        "everything": [
            [a["id"], a["product"]["id"], a["status"], a["events"]["created"]["at"]]
            for a in json.loads(fulfillment.listAssets(None))
        ],
        "equal": assets(Query().equal("status", "active")),
        "not_equal": assets(Query().notEqual("status", "active")),
        "in": assets(Query().in_("product.id", collection(SUITE, METER))),
        "out": assets(Query().out("product.id", collection(SUITE, METER))),
        "like": assets(Query().like("product.name", "Nimbus M*")),
        "ilike": assets(Query().ilike("product.name", "*suite")),
        "greater": assets(Query().greater("events.created.at", at)),
        "since": assets(Query().greaterOrEqual("events.created.at", at)),
        "lesser": assets(Query().lesser("events.created.at", at)),
        "until": assets(Query().lesserOrEqual("events.created.at", at)),
        "paged": assets(Query().orderBy("id").limit(2).offset(1)),
        "ordering": assets(Query().ordering(collection("-id"))),
        "bare": Asset.list(Query().select(collection("-items")).limit(1)).get(0).items,
        "plain": requests(where(status="approved", asset__product__id=PLAIN)),
        "forced": requests(
            Query()
            .in_("status", collection("approved"))
            .equal("asset.product.id", PLAIN)
            .forceRql(True)
        ),
    }


as_vendor()
results = {"queries": queries(), "vendor": everything()}
as_distributor()
results["distributor"] = everything()
results |= {
    "requests": requests(),
    "tiers": tiers(),
    "listings": listings(),
    "billing": billing(),
    "products": products(),
    "conversations": conversations(),
}
as_vendor()
hand_over(
    **results,
    categories=[category.name for category in Category.list(None)],
    refusals={
        "query": refused(lambda: Asset.list(Query().equal("color", "red"))),
        "accounts": refused(Account.create),
    },
    agreements=[agreement.id for agreement in Agreement.list(None).toArray()],
    marketplace=Marketplace.list(None).get(0).remove(),
)
