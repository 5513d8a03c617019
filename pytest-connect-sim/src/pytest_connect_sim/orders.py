"""Fulfillment requests."""

from __future__ import annotations

from typing import Any

from pytest_connect_sim import names
from pytest_connect_sim.actions import Actions, Items, Params, Subject
from pytest_connect_sim.objects import Json, Product, QueueObject
from pytest_connect_sim.tier_data import Tier, tier

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True


class Orders(Actions):
    """Orders products, and changes subscriptions."""

    def purchase(
        self,
        product: str | Product,
        items: Items | None = None,
        params: Params | None = None,
        *,
        customer: Tier | None = None,
        tier1: Tier | None = None,
        tier2: Tier | None = None,
        draft: bool = False,
        **asset: Any,
    ) -> QueueObject:
        """Order a product as the distributor: `items={"mailbox": 5}, params={"domain": "…"}`.

        By default one of each item, a new customer and a new reseller. `draft` makes a draft,
        which can be validated. More keywords are keys of the subscription: `external_id`.
        """
        sold = self._sold(product)
        if sold["connection"] is None:
            raise ValueError(f"{sold.id} cannot be ordered: it is not connected or not listed.")
        tiers = {
            "customer": tier(self._people.customer() if customer is None else customer),
            "tier1": tier(self._people.reseller() if tier1 is None else tier1),
        }
        if tier2 is not None:
            tiers["tier2"] = tier(tier2)
        body: Json = {
            "type": "purchase",
            "marketplace": {"id": sold["marketplace"]},
            "asset": {
                "external_id": self._people.uid(),
                "external_uid": self._people.uid(),
                "connection": {"id": sold["connection"]},
                "items": names.ordered(sold.items, items, sold.id),
                "params": names.values(sold.params, params, sold.id),
                "tiers": tiers,
                **asset,
            },
        }
        if draft:
            body["status"] = "draft"
        return self._object(self._api(False).post("/requests", body))

    def change(
        self,
        subject: Subject,
        items: Items | None = None,
        params: Params | None = None,
        *,
        draft: bool = False,
    ) -> QueueObject:
        """Change the items or parameters of a subscription, as the distributor."""
        return self._order("change", subject, items, params, draft=draft)

    def suspend(self, subject: Subject) -> QueueObject:
        """Suspend a subscription, as the distributor."""
        return self._order("suspend", subject)

    def resume(self, subject: Subject) -> QueueObject:
        """Resume a suspended subscription, as the distributor."""
        return self._order("resume", subject)

    def cancel(self, subject: Subject) -> QueueObject:
        """Cancel a subscription, as the distributor."""
        return self._order("cancel", subject)

    def adjust(self, subject: Subject, params: Params) -> QueueObject:
        """Adjust the parameters of a subscription, as the vendor."""
        return self._order("adjustment", subject, None, params, vendor=True)

    def _order(
        self,
        kind: str,
        subject: Subject,
        items: Items | None = None,
        params: Params | None = None,
        *,
        draft: bool = False,
        vendor: bool = False,
    ) -> QueueObject:
        asset: Json = {"id": self._subscription(subject)}
        if items is not None or params is not None:
            held = self._api().get(f"/assets/{asset['id']}")
            sold = self._sold(held["product"]["id"])
            if items is not None:
                asset["items"] = names.ordered(sold.items, items, sold.id)
            if params is not None:
                asset["params"] = names.values(sold.params, params, sold.id)
        body: Json = {"type": kind, "asset": asset}
        if draft:
            body["status"] = "draft"
        return self._object(self._api(vendor).post("/requests", body))
