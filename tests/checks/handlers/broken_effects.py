"""Handlers that do too much, or too little."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


class WorksBeforeCheckingTheToken(Handler):
    """It begins to work, and looks at the signature while it does."""

    def respond(self, call: Call) -> Response:
        if self.api_url and self.product_id and self.read_order(call.body) is None:
            self.worker(self.product_id).process(self.api_url, patience=0)
        return super().respond(call)


class ApprovesTwice(Handler):
    """It sends each approval twice, in case that one is lost."""

    def send_approval(self, api: Api, id: str, template: str) -> None:
        super().send_approval(api, id, template)
        try:
            super().send_approval(api, id, template)
        except ApiError as error:
            self.failed(error)


class ReadsFirstPageOnly(Handler):
    """It doesn't know that lists have pages."""

    page = 10

    def read_pages(self, api: Api, product: str) -> Iterable[list[Json]]:
        return list(super().read_pages(api, product))[:1]


class ProcessesOneOrderPerCall(Handler):
    """It takes a call for a call about one order, the oldest."""

    def find_pending(self, api: Api, product: str) -> list[str]:
        return super().find_pending(api, product)[:1]


class AbandonsTheRestAfterARefusal(Handler):
    """It ends a run when the API refuses something, such as what somebody else has approved."""

    def approve_pending(self, api: Api, product: str) -> None:
        template = self.find_template(api, product)
        for id in self.find_pending(api, product):
            try:
                self.fill(api, api.get(f"/requests/{id}"))
                self.send_approval(api, id, template)
            except ApiError as error:
                if not error.is_refusal:
                    raise
                return self.failed(error)


class DiesOfARefusal(Handler):
    """It has no idea that an order may be approved by somebody else."""

    def approve(self, api: Api, id: str, template: str) -> None:
        try:
            self.fill(api, api.get(f"/requests/{id}"))
            self.send_approval(api, id, template)
        except ApiError as error:
            if error.is_refusal:
                os._exit(1)
            raise


class ApprovesAllProducts(Handler):
    """It approves whatever is pending, of all products of the account."""

    def query(self, product: str) -> str:
        return "eq(status,pending)&ordering(created,id)"


class AsksBeforeApproving(Handler):
    """It lets the order go to the customer and come back before it approves it."""

    def send_approval(self, api: Api, id: str, template: str) -> None:
        params = api.get(f"/requests/{id}")["asset"]["params"]
        asked = [{"id": p["id"], "value_error": "?"} for p in params if p["phase"] == "ordering"]
        api.put(f"/requests/{id}", {"asset": {"params": asked}})
        api.post(f"/requests/{id}/inquire", {})
        api.post(f"/requests/{id}/pend", {})
        super().send_approval(api, id, template)


class InquiresForOldErrors(Handler):
    """It asks the customer as long as a parameter has an error, whatever its value is."""

    def send_approval(self, api: Api, id: str, template: str) -> None:
        params = api.get(f"/requests/{id}")["asset"]["params"]
        if any(param["value_error"] for param in params):
            api.post(f"/requests/{id}/inquire", {})
        else:
            super().send_approval(api, id, template)


class ChangesItsValues(Handler):
    """It sets a parameter before it knows the value, and corrects it afterwards."""

    def fill(self, api: Api, order: Json) -> None:
        names = self.empty(order)
        for values in ([(n, "unknown") for n in names], [(n, self.value(order, n)) for n in names]):
            params = [{"id": name, "value": value} for name, value in values]
            if params:
                api.put(f"/requests/{order['id']}", {"asset": {"params": params}})


class FillsNothing(Handler):
    """It approves without the parameters that an approval needs."""

    def fill(self, api: Api, order: Json) -> None:
        return
