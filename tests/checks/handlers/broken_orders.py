"""Handlers that process the first order well, and other ones not."""

from __future__ import annotations

from tests.checks.handlers.api import Api
from tests.checks.handlers.reference import Handler, Json


class AsksForNewerOrdersOnly(Handler):
    """It remembers when the newest order that it has seen was created, and leaves older ones."""

    newest = read = ""

    def approve_pending(self, api: Api, product: str) -> None:
        super().approve_pending(api, product)
        # When all are approved: a run that fails is repeated completely.
        self.newest = max(self.newest, self.read)

    def find_pending(self, api: Api, product: str) -> list[str]:
        orders = [order for page in self.read_pages(api, product) for order in page]
        self.read = max((order["created"] for order in orders), default="")
        return [order["id"] for order in orders if order["created"] >= self.newest]


class ProcessesPurchasesOnly(Handler):
    """It doesn't know that subscriptions are suspended and cancelled."""

    def query(self, product: str) -> str:
        return f"{super().query(product)}&eq(type,purchase)"


class WritesNamesInLatin1(Handler):
    """It writes the customer's name in an encoding that lacks most letters."""

    def value(self, order: Json, name: str) -> str:
        customer = order["asset"]["tiers"]["customer"]["name"]
        return f"{super().value(order, name)}-{len(customer.encode('latin-1'))}"
