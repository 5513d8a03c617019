"""The Haxe SDK's Processor: a Flow for each kind of request."""

from bodies import CONTACT, PLAIN, SUITE, let_inquiries_be_changed, purchase
from connect import Flow, Processor
from connect.models import AssetRequest, Listing, TierConfigRequest, UsageFile
from haxe import (
    Refused,
    as_distributor,
    as_vendor,
    by_rql,
    collection,
    described,
    parsed,
    where,
)

READY, ASK = "TL-213-870-001", "TL-213-870-002"
TIER_READY = "TL-561-035-001"


class ByName(Flow):
    """Processes the requests of this script only, each in the way that `way_of` has for it."""

    def __init__(self):
        super().__init__(lambda request: request.id in way_of)
        self.step("Note it", lambda flow: noted.append([flow.request.id, flow.getCurrentAttempt()]))
        self.step("Work", lambda flow: getattr(self, way_of[flow.request.id])())
        self.step("After", lambda flow: after.append(way_of[flow.request.id]))

    def setup(self):
        if way_of[self.request.id] == "unprepared":
            raise ValueError("no connection to the backend")
        self.setData("name", way_of[self.request.id])


class Orders(ByName):
    def fill(self):
        param = self.getAssetRequest().asset.getParamById("activation_id")
        param.value = f"id-of-{self.getData('name')}"

    def template(self):
        self.fill()
        self.approveByTemplate(READY)

    def tile(self):
        self.fill()
        self.approveByTile("# Welcome")

    def refuse(self):
        super().fail("Sold out")

    def ask(self):
        email = self.getAssetRequest().asset.getParamById("contact_email")
        email.valueError = "Nobody reads this."
        self.inquire(ASK, collection(email))

    def note(self):
        self.getAssetRequest().note = "Seen by the flow."
        self.getAssetRequest().update(None)

    def later(self):
        self.skip()

    def stop(self):
        self.abort("Enough.")

    def crash(self):
        raise RuntimeError("the backend is away")


class Setups(ByName):
    def fill(self):
        self.getTierConfigRequest().getParamById("partner_tenant").value = "pt-1"

    def template(self):
        self.fill()
        self.approveByTemplate(TIER_READY)

    def refuse(self):
        super().fail("Not our partner")

    def ask(self):
        agreement = self.getTierConfigRequest().getParamById("partner_agreement")
        agreement.valueError = "We know no such agreement."
        self.inquire(None, collection(agreement))

    def note(self):
        self.getTierConfigRequest().notes = "Seen by the flow."
        self.getTierConfigRequest().update(None)

    def later(self):
        self.skip()


class Listings(Flow):
    def __init__(self):
        super().__init__(lambda listing: listing.product.id == PLAIN)
        self.step("See", lambda flow: listings.append(flow.getListing().contract.marketplace.id))


class Files(Flow):
    def __init__(self):
        super().__init__(None)
        self.step("See", lambda flow: files.append(flow.getUsageFile().status))


class Answers(Flow):
    """Puts an inquired request back to pending, after correcting the parameter in the model."""

    def __init__(self):
        super().__init__(None)
        self.step("Answer", lambda flow: self.answer())

    def answer(self):
        request = self.getAssetRequest()
        if request is not None:
            request.asset.getParamById("contact_email").value = "people@example.com"
        else:
            self.getTierConfigRequest().getParamById("partner_agreement").value = "NSS-1-0001"
        self.pend()


noted, after, listings, files, way_of, for_resellers, setups = [], [], [], [], {}, {}, {}


def order(name):
    params = [{"id": "contact_email", "value": "it@example.com"}]
    body = purchase(PLAIN, params)
    body["asset"]["external_uid"] = f"haxe-{name}"
    return parsed(AssetRequest, body).register()


def order_for(reseller):
    """Order for a new reseller, who has to be set up first."""
    body = purchase(SUITE, [{"id": "admin_email", "value": "it@example.com"}])
    body["asset"]["tiers"]["tier1"] = {"name": reseller, "contact_info": CONTACT}
    return parsed(AssetRequest, body).register()


def setup_of(bought_request):
    account = bought_request.asset.tiers.tier1.id
    return TierConfigRequest.list(by_rql(configuration__account__id=account)).get(0)


def order_now(name):
    request = AssetRequest.get(bought[name].id)
    return {
        "status": request.status,
        "asset_status": request.asset.status,
        "activation_id": request.asset.getParamById("activation_id").value,
        "email_error": request.asset.getParamById("contact_email").valueError,
        "key": request.activationKey,
        "reason": request.reason,
        "note": request.note,
        "messages": [m.text for m in request.getConversation().messages.toArray()],
    }


def setup_now(name):
    request = TierConfigRequest.get(setups[name])
    return {
        "status": request.status,
        "configuration": request.configuration.status,
        "tenant": request.getParamById("partner_tenant").value,
        "error": request.getParamById("partner_agreement").valueError,
        "reason": request.reason,
        "notes": request.notes,
        "order": AssetRequest.get(for_resellers[name].id).status,
    }


WAYS = ("template", "tile", "refuse", "ask", "note", "later", "stop", "crash", "unprepared")
as_distributor()
bought = {name: order(name) for name in WAYS}
as_vendor()
way_of = {order.id: name for name, order in bought.items()}
Processor().flow(Orders()).processAssetRequests(
    where(status="pending", asset__product__id=PLAIN).limit(1000)
)


def answer():
    """Answer the inquiry as the distributor, by a flow, and return the order."""
    let_inquiries_be_changed(PLAIN)
    as_distributor()
    Processor().flow(Answers()).processAssetRequests(where(id=bought["ask"].id))
    return AssetRequest.get(bought["ask"].id)


def set_up():
    """Order for resellers, answer what their set-ups ask, and let flows process these."""
    global way_of
    as_distributor()
    for name in ("template", "refuse", "ask", "note", "later"):
        for_resellers[name] = order_for(f"haxe {name}")
        setups[name] = setup_of(for_resellers[name]).id
    Processor().flow(Answers()).processTierConfigRequests(
        by_rql(status="inquiring").in_("id", collection(*setups.values()))
    )
    released = {TierConfigRequest.get(pk).status for pk in setups.values()}
    as_vendor()
    way_of = {pk: name for name, pk in setups.items()}
    Processor().flow(Setups()).processTierConfigRequests(
        where(status="pending", configuration__product__id=SUITE)
    )
    return released
