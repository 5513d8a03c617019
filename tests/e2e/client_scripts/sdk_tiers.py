"""The tiers in connect-sdk 22: TierConfigAutomation, TierAccountRequestAutomation, their calls."""

from bodies import CONTACT, SUITE, hand_over, purchase
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
from sdk import DISTRIBUTOR, VENDOR, only, refused

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


processed = {name: as_found(name) for name in WAYS}

# Each call of the resource: all except the approval return 204.
one = waiting["later"].id
answers = {"assign": setups.assign(one)}
assignee = setups.get(one).assignee.name
answers["unassign"] = setups.unassign(one)
unassigned = setups.get(one).assignee
nothing_marked = refused(lambda: setups.inquire(one))
setups.update(one, {"params": [{"id": "partner_agreement", "value_error": "Which?"}]})
answers["inquire"] = setups.inquire(one)
inquired = setups.get(one)
answers["pend"] = setups.pend(one)
setups.update(one, {"params": [{"id": "partner_tenant", "value": "manual"}]})
approved = setups.approve(one)
setups.update(waiting["forgotten"].id, {"params": [{"id": "partner_tenant", "value": "too"}]})
answers["approve_by_template"] = [
    part[:21] if isinstance(part, str) else part
    for part in setups.approve(waiting["forgotten"].id, READY)
]
config_id = waiting["later"].configuration.id
update = theirs.create({"type": "update", "configuration": {"id": config_id}, "params": []})
answers["fail"] = setups.fail(update.id, "Not now.")
failed = setups.get(update.id)
account = bought["later"].asset.tiers.tier1.id
of_account = [
    TierConfig.get(account, SUITE, VENDOR),
    FulfillmentAutomation(VENDOR).get_tier_config(account, SUITE),
]


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
changes = {
    name: orders.create_tier_account_request(
        {"type": "update", "account": {"id": pk, "external_id": f"new-{name}"}}
    )
    for name, pk in resellers.items()
}
seen_accounts = []
Accounts(VENDOR).process({"status": "pending", "account.id": list(resellers.values())})
tars = TierAccountRequestResource(VENDOR)
account_requests = {name: tars.get(request.id) for name, request in changes.items()}
by_call = FulfillmentResource(VENDOR).accept_tier_account_request(changes["later"].id)
pending = FulfillmentResource(VENDOR).get_pending_tier_account_requests()

hand_over(
    processed=processed,
    handled=len(handled),
    answers=answers,
    assignee=assignee,
    unassigned=unassigned.id,
    inquired=inquired.status,
    approved=[approved[1], approved[0][:12]],
    update=[update.type, update.status, failed.status, failed.reason, failed.configuration.status],
    of_account=[[found.id, found.tier_level, found.account.name] for found in of_account],
    config=TierConfigResource(VENDOR).get(config_id).name,
    config_id=config_id,
    tenant=of_account[0].get_param_by_id("partner_tenant").value,
    accounts={
        name: [request.status, request.reason, request.account.version]
        for name, request in account_requests.items()
    },
    seen_accounts=len(seen_accounts),
    by_call=[by_call.status, by_call.account.external_id, by_call.product.id],
    none_pending=[request.id for request in pending if request.id in
                  {row.id for row in changes.values()}],
    account=TierAccountResource(DISTRIBUTOR).get(account).external_id,
    refusals={
        "accept": refused(lambda: tars.accept(changes["later"].id)),
        "vendor_setup": refused(
            lambda: setups.create(
                {
                    "configuration": {
                        "product": {"id": SUITE}, "account": {"id": account}, "tier_level": 1,
                    }
                }
            )
        ),
        "approve": refused(lambda: setups.approve(one)),
        "inquire": nothing_marked,
    },
)  # fmt: skip
