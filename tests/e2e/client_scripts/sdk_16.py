"""connect-sdk 16.2 (2019): its automations of orders, tier configurations and usage.

It runs on Python 3.8. The distributor's part uses `requests`, a dependency of the package, which
has no calls of distributors.
"""

import logging
import warnings

import requests
from bodies import CONTACT, METER, PLAIN, PROVIDER_KEY, SUITE, URL, VENDOR_KEY, purchase

# marshmallow 2 warns on import that version 3 will be different.
warnings.simplefilter("ignore")

from connect.config import Config  # noqa: E402
from connect.exceptions import FailRequest, InquireRequest, ServerError, SkipRequest  # noqa: E402
from connect.models import (  # noqa: E402
    ActivationTemplateResponse,
    ActivationTileResponse,
    Param,
)
from connect.resources import FulfillmentAutomation, TierConfigAutomation  # noqa: E402

# The package logs to stdout, which has the result.
logging.disable(logging.CRITICAL)

CONFIG = Config(api_url=URL, api_key=VENDOR_KEY, products=[PLAIN, SUITE, METER])
READY = "TL-213-870-001"
Refused = ServerError


def call(method, path, body=None, key=PROVIDER_KEY):
    response = requests.request(method, URL + path, json=body, headers={"Authorization": key})
    assert response.ok, response.text
    return response.json() if response.text else None


class Orders(FulfillmentAutomation):
    """Decides by the external uid of a subscription."""

    def process_request(self, request):
        way = ways.get(request.id)
        return getattr(self, way)(request) if way else None

    def fill(self, request):
        self.update_parameters(request.id, [Param(id="activation_id", value=request.id)])

    def template(self, request):
        self.fill(request)
        return ActivationTemplateResponse(READY)

    preview = template

    def tile(self, request):
        self.fill(request)
        return ActivationTileResponse("# Welcome\n\nYour key is **42**.")

    def inquire_by(self, request):
        # Parameters cannot be sent as they were read: the package cannot encode their constraints.
        email = Param(id="contact_email", value_error="Nobody reads this.")
        raise InquireRequest("Please correct the address.", params=[email])

    def refuse(self, request):
        raise FailRequest("We are sold out.")

    def later(self, request):
        raise SkipRequest("Not yet.")

    def dispatch(self, request):
        results[request.id] = super().dispatch(request)
        return results[request.id]


class Configurations(TierConfigAutomation):
    """Approves requests with an agreement, and fails the others."""

    def process_request(self, request):
        if request.id != config["id"]:
            return None
        assert request.configuration.product.id == SUITE
        self.update_parameters(request.id, [Param(id="partner_tenant", value="pt-16")])
        return ActivationTileResponse("# Welcome, partner")


ways, results = {}, {}
for name in ("template", "tile", "inquire_by", "refuse", "later"):
    body = purchase()
    body["asset"]["params"] = [{"id": "contact_email", "value": "it@example.com"}]
    body["asset"]["external_uid"] = "sdk16-" + name
    ways[call("POST", "/requests", body)["id"]] = name
# An order of the vendor itself in the preview environment.
body = purchase()
body["asset"]["connection"] = {"id": "CT-0000-0000-0000"}
preview = call("POST", "/requests", body, VENDOR_KEY)
ways[preview["id"]] = "preview"
engine = Orders(CONFIG)
engine.process()


def as_found(name):
    """Return an order after its processing."""
    pk = next(pk for pk, way in ways.items() if way == name)
    row = call("GET", "/requests/" + pk, key=VENDOR_KEY)
    [talk] = call("GET", "/conversations?instance_id=" + pk, key=VENDOR_KEY)
    messages = call("GET", f"/conversations/{talk['id']}/messages", key=VENDOR_KEY)
    texts = [m["text"] for m in messages if m["type"] == "message"]
    return {**row, "result": results[pk][:6], "messages": texts}


account = {"name": "Atlantic Resellers", "external_uid": "sdk16", "contact_info": CONTACT}
config = call("POST", "/tier/config-requests", {
    "type": "setup",
    "configuration": {"product": {"id": SUITE}, "tier_level": 1, "account": account},
    "params": [{"id": "partner_agreement", "value": "NSS-1-0160"}],
})  # fmt: skip
Configurations(CONFIG).process()
configured = call("GET", "/tier/config-requests/" + config["id"], key=VENDOR_KEY)
held = engine.get_tier_config(configured["configuration"]["account"]["id"], SUITE)
