"""Handlers that don't expect a call twice, late, in another order, or many at once."""

from __future__ import annotations

import uuid
from typing import Any

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


class RepeatsApprovals(Handler):
    """It sends its last approval again with each call, to be on the safe side."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.approved: list[tuple[str, str]] = []

    def approve_pending(self, api: Api, product: str) -> None:
        for id, template in self.approved:
            try:
                self.repeat(api, id, template)
            except ApiError as error:
                self.failed(error)
        self.approved.clear()
        super().approve_pending(api, product)

    def repeat(self, api: Api, id: str, template: str) -> None:
        super().send_approval(api, id, template)

    def send_approval(self, api: Api, id: str, template: str) -> None:
        super().send_approval(api, id, template)
        self.approved.append((id, template))


class ProvisionsWithEachCall(RepeatsApprovals):
    """It creates what it approved last once more with each call, and reports the new one."""

    def repeat(self, api: Api, id: str, template: str) -> None:
        order = api.get(f"/requests/{id}")
        filled = [p["id"] for p in order["asset"]["params"] if p["phase"] == "fulfillment"]
        params = [{"id": name, "value": str(uuid.uuid4())} for name in filled]
        try:
            api.put(f"/requests/{id}", {"asset": {"params": params}})
        finally:
            super().repeat(api, id, template)


class FailsInABurst(Handler):
    """It refuses calls while it has ten others."""

    most, calls = 10, 0

    def queue_changed(self, call: Call, claims: Json) -> Response:
        with self.workers_lock:
            self.calls += 1
        try:
            return Response(503) if self.calls > self.most else super().queue_changed(call, claims)
        finally:
            with self.workers_lock:
                self.calls -= 1


class FailsAtFourCalls(FailsInABurst):
    """It refuses calls while it has three others."""

    most = 3


class ForgetsFailedOrders(Handler):
    """It remembers an order as done before it has worked on it."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.known: set[str] = set()

    def approve(self, api: Api, id: str, template: str) -> None:
        if id not in self.known:
            self.known.add(id)
            super().approve(api, id, template)


class IgnoresOlderCalls(Handler):
    """It drops a call that was triggered before one that it has seen."""

    latest = ""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        if claims["triggered_at"] < self.latest:
            return Response(200)
        self.latest = claims["triggered_at"]
        return super().queue_changed(call, claims)


class FailsWithoutWork(Handler):
    """It takes a call for a mistake if no order is pending."""

    def process(self, product: str, claims: Json) -> bool:
        api = Api(self.api_url or claims["api_url"], self.key)
        is_idle = not self.find_pending(api, product)
        return super().process(product, claims) and not is_idle
