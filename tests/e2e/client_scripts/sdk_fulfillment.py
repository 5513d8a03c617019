"""FulfillmentAutomation of connect-sdk 22: every way in which a request can end."""

from bodies import METER, PLAIN, let_inquiries_be_changed, purchase
from connect.exceptions import FailRequest, InquireRequest, SkipRequest
from connect.models import (
    ActivationTemplateResponse,
    ActivationTileResponse,
    Asset,
    AssetRequest,
    Fulfillment,
    Item,
    Param,
)
from connect.resources import FulfillmentAutomation, TemplateResource
from connect.resources.asset_request import AssetRequestResource
from connect.resources.fulfillment import FulfillmentResource
from connect.rql import Query
from sdk import DISTRIBUTOR, VENDOR, Refused, described, only

distributor = FulfillmentResource(DISTRIBUTOR)
READY = "TL-213-870-001"


class Processor(FulfillmentAutomation):
    """Decides by the name of the subscription."""

    def process_request(self, request):
        processed.append(request.id)
        return getattr(self, way_of[request.id])(request)

    def fill(self, request):
        self.update_parameters(request.id, [Param(id="activation_id", value=request.id)])

    def template(self, request):
        self.fill(request)
        return ActivationTemplateResponse(READY)

    def looked_up(self, request):
        self.fill(request)
        templates = TemplateResource(self.config).list(request.asset.product.id)
        return TemplateResource(self.config).get(templates[0]["id"])

    def tile(self, request):
        self.fill(request)
        return ActivationTileResponse("# Welcome\n\nYour key is **42**.")

    def rendered(self, request):
        self.fill(request)
        return self.render_template(request.id, READY)

    def inquire_by(self, request):
        email = request.asset.get_param_by_id("contact_email")
        email.value_error = "Nobody reads this."
        raise InquireRequest("Please correct the address.", params=[email])

    def refuse(self, request):
        raise FailRequest("We are sold out.")

    def later(self, request):
        raise SkipRequest("Not yet.")

    def forgotten(self, request):
        return None

    def unready(self, request):
        # The approval is refused, which the engine logs.
        return ActivationTemplateResponse(READY)

    def dispatch(self, request):
        results[request.id] = super().dispatch(request)
        return results[request.id]


def order(**asset):
    body = purchase()
    body["asset"].update(params=[{"id": "contact_email", "value": "it@example.com"}], **asset)
    return distributor.create_purchase_request(body)


def as_found(name):
    """Return an order after its processing: the request and its messages."""
    request = AssetRequestResource(VENDOR).get(orders[name])
    messages = request.get_conversation(VENDOR).messages
    param = request.asset.get_param_by_id
    return {
        "result": results[orders[name]][:9],
        "status": request.status,
        "asset_status": request.asset.status,
        "reason": request.reason,
        "tile": request.activation_key,
        "assignee": getattr(request.assignee, "email", request.assignee),
        "activation_id": param("activation_id").value,
        "email_error": param("contact_email").value_error,
        "messages": [message.text for message in messages],
        "creators": [message.creator.name for message in messages],
    }


WAYS = ("template", "looked_up", "tile", "rendered", "inquire_by", "refuse", "later", "forgotten",
        "unready")  # fmt: skip
orders = {name: order(external_uid=f"sdk-{name}").id for name in WAYS}
way_of = {pk: name for name, pk in orders.items()}
processed, results = [], {}
engine = Processor(only(PLAIN))
requests = engine.filters(id=list(way_of))
engine.process(requests)


def answer():
    """Send a new value for the inquired order, as the distributor, and return the order."""
    params = [{"id": "contact_email", "value": "people@example.com"}]
    note = "The address is corrected."
    let_inquiries_be_changed(PLAIN)
    distributor.update_param_asset_request(orders["inquire_by"], {"params": params}, note)
    return AssetRequestResource(DISTRIBUTOR).get(orders["inquire_by"])


def process_again():
    """Process the orders that are still pending, and return their names."""
    global way_of
    names, way_of = way_of, dict.fromkeys(way_of, "template")
    processed.clear()
    engine.process(requests)
    return sorted(names[pk] for pk in processed)


# A model in place of a dict.
model = Fulfillment(
    type="purchase",
    asset=Asset(
        external_uid="sdk-model",
        connection={"id": "CT-5127-0938-2264"},
        items=[Item(id=f"{METER}-0001", quantity=3)],
        tiers=purchase()["asset"]["tiers"],
    ),
)


def approve(pk):
    """Approve by the calls that the engine itself makes."""
    engine = FulfillmentAutomation(VENDOR)
    if AssetRequestResource(VENDOR).get(pk).type == "purchase":
        engine.update_parameters(pk, [Param(id="workspace_id", value=pk)])
    engine.approve(pk, {"template_id": "TL-794-452-001"})
    return AssetRequestResource(VENDOR).get(pk)


def ask(kind, asset, **more):
    body = {"type": kind, "asset": {"id": asset.id, **more}}
    return distributor.create_purchase_request(body)
