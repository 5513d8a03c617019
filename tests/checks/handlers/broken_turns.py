"""Handlers that don't expect what others do while they work."""

from __future__ import annotations

from typing import Any

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


class IgnoresCallsWhileItWorks(Handler):
    """It answers before it works, and takes calls that arrive meanwhile for repetitions."""

    def process(self, product: str, claims: Json) -> bool:
        worker = self.worker(product)
        if worker.finished == worker.calls:
            worker.process(self.api_url or claims["api_url"], patience=0)
        return True


class RepeatsWhatIsRefused(Handler):
    """It approves again at once until the order is approved."""

    def send_approval(self, api: Api, id: str, template: str) -> None:
        while True:
            try:
                return super().send_approval(api, id, template)
            except ApiError as error:
                if not error.is_refusal or api.get(f"/requests/{id}")["status"] == "approved":
                    raise


class KnowsSubscriptionsItHasProcessed(Handler):
    """It takes a further order of a subscription that it has processed for a repetition."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.known: set[str] = set()

    def approve(self, api: Api, id: str, template: str) -> None:
        subscription = api.get(f"/requests/{id}")["asset"]["id"]
        if subscription in self.known:
            return
        super().approve(api, id, template)
        self.known.add(subscription)


class KnowsExternalIdsItHasSeen(Handler):
    """It takes an order with the external id of another one for a repetition."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.known: dict[str, str] = {}

    def approve(self, api: Api, id: str, template: str) -> None:
        external_id = api.get(f"/requests/{id}")["asset"]["external_id"]
        if self.known.setdefault(external_id, id) == id:
            super().approve(api, id, template)


class LeavesOrdersOfRenamedCustomers(Handler):
    """It leaves an order whose customer isn't the one that it has provisioned for."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.customers: dict[str, str] = {}

    def fill(self, api: Api, order: Json) -> None:
        super().fill(api, order)
        self.customers.setdefault(order["id"], order["asset"]["tiers"]["customer"]["name"])

    def send_approval(self, api: Api, id: str, template: str) -> None:
        customer = api.get(f"/requests/{id}")["asset"]["tiers"]["customer"]["name"]
        if customer == self.customers[id]:
            super().send_approval(api, id, template)


class StopsWhenItsWebhookIsOff(Handler):
    """It looks for its webhook before it approves, and stops for ever when that is turned off."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.webhook = environ["WEBHOOK_ID"]
        self.was_on = self.has_stopped = False

    def respond(self, call: Call) -> Response:
        return Response(200) if self.has_stopped else super().respond(call)

    def send_approval(self, api: Api, id: str, template: str) -> None:
        is_on = api.get(f"/notifications/webhooks/{self.webhook}")["active"]
        self.has_stopped = self.was_on and not is_on
        self.was_on = self.was_on or is_on
        if not self.has_stopped:
            super().send_approval(api, id, template)
