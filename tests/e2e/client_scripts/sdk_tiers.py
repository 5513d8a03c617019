"""The tiers in connect-sdk 22: TierConfigAutomation, TierAccountRequestAutomation, their calls."""

from bodies import CONTACT, SUITE, purchase
from connect.exceptions import FailRequest, InquireRequest, SkipRequest
from connect.models import (
    ActivationTemplateResponse,
    ActivationTileResponse,
    Param,
    TierConfig,
)
from connect.resources import (
    FulfillmentAutomation,
    TierAccountRequestAutomation,
    TierConfigAutomation,
)
from connect.resources.fulfillment import FulfillmentResource
from connect.resources.tier_account import TierAccountRequestResource, TierAccountResource
from connect.resources.tier_account_request_automation import TierAccountRequestAction
from connect.resources.tier_config_request import TierConfigRequestResource, TierConfigResource
from sdk import DISTRIBUTOR, VENDOR, Refused, described, only

READY = "TL-561-035-001"
setups, theirs = TierConfigRequestResource(VENDOR), TierConfigRequestResource(DISTRIBUTOR)
orders = FulfillmentResource(DISTRIBUTOR)


class Configurator(TierConfigAutomation):
    """Decides by the name of the reseller."""

    def process_request(self, request):
        handled.append(request.id)
        return getattr(self, request.configuration.account.name)(request)

    def fill(self, request):
        self.update_parameters(request.id, [Param(id="partner_tenant", value=request.id)])

    def template(self, request):
        self.fill(request)
        return ActivationTemplateResponse(READY)

    def tile(self, request):
        self.fill(request)
        return ActivationTileResponse("# Welcome, reseller")

    def inquire_by(self, request):
        agreement = request.get_param_by_id("partner_agreement")
        agreement.value_error = "We know no such agreement."
        raise InquireRequest("Which agreement?", params=[agreement])

    def refuse(self, request):
        raise FailRequest("Not our partner.")

    def later(self, request):
        raise SkipRequest

    def forgotten(self, request):
        return None

    def dispatch(self, request):
        results[request.configuration.account.name] = super().dispatch(request)


def order(reseller):
    """Order for a new reseller, who has to be set up first; return the order."""
    params = [{"id": "admin_email", "value": "it@example.com"}]
    body = purchase(SUITE, params)
    body["asset"]["tiers"]["tier1"] = {"name": reseller, "contact_info": CONTACT}
    return orders.create_purchase_request(body)


def setup_of(bought):
    """Return the request that the order waits for, with its ordering parameters set."""
    account = bought.asset.tiers.tier1.id
    request = setups.list({"configuration.account.id": account})[0]
    theirs.update(request.id, {"params": [{"id": "partner_agreement", "value": "NSS-1-0001"}]})
    theirs.pend(request.id)
    return setups.get(request.id)


WAYS = ("template", "tile", "inquire_by", "refuse", "later", "forgotten")
bought = {name: order(name) for name in WAYS}
created = {name: setups.list({"configuration.account.id": bought[name].asset.tiers.tier1.id})[0]
        for name in WAYS}  # fmt: skip
waiting = {name: setup_of(bought[name]) for name in WAYS}
handled, results = [], {}
engine = Configurator(only(SUITE))
engine.process(engine.filters(id=[request.id for request in waiting.values()]))


def as_found(name):
    request = setups.get(waiting[name].id)
    param = request.get_param_by_id
    return {
        "result": results[name],
        "created": created[name].status,
        "waiting": waiting[name].status,
        "status": request.status,
        "configuration": request.configuration.status,
        "reason": request.reason,
        "template": request.template and request.template.id,
        "tenant": param("partner_tenant").value,
        "agreement_error": param("partner_agreement").value_error,
        "order": orders.search_asset_request({"id": bought[name].id})[0].status,
        "order_was": bought[name].status,
    }


account = bought["later"].asset.tiers.tier1.id


class Accounts(TierAccountRequestAutomation):
    """Decides by the reseller's name."""

    def process_request(self, request):
        seen_accounts.append(request.id)
        return decisions[request.account.name]


decisions = {
    "template": TierAccountRequestAction(TierAccountRequestAction.ACCEPT),
    "tile": TierAccountRequestAction(TierAccountRequestAction.IGNORE, "Not kept."),
    "later": TierAccountRequestAction(TierAccountRequestAction.SKIP),
}
resellers = {
    "template": bought["template"].asset.tiers.tier1.id,
    "tile": bought["tile"].asset.tiers.tier1.id,
    "later": account,
}
seen_accounts = []
tars = TierAccountRequestResource(VENDOR)


def change_accounts():
    """Change the external id of each reseller, let the vendor process that, and return requests."""
    requests = {
        name: orders.create_tier_account_request(
            {"type": "update", "account": {"id": pk, "external_id": f"new-{name}"}}
        )
        for name, pk in resellers.items()
    }
    Accounts(VENDOR).process({"status": "pending", "account.id": list(resellers.values())})
    return {name: tars.get(request.id) for name, request in requests.items()}
