"""Tier configuration requests and tier account requests."""

from __future__ import annotations

from typing import Any

from pytest_connect_sim import names
from pytest_connect_sim.actions import Actions, Params, Subject
from pytest_connect_sim.literals import TierName
from pytest_connect_sim.objects import Json, Product, QueueObject, prefix_of
from pytest_connect_sim.tier_data import Tier, tier

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True


class Tiers(Actions):
    """Sets up resellers, and changes customers and resellers."""

    def tier_config(
        self,
        subject: str | Product | QueueObject,
        params: Params | None = None,
        *,
        account: Tier | None = None,
        level: int = 1,
        draft: bool = False,
    ) -> QueueObject:
        """Set up a reseller for a product, or update a configuration, as the distributor.

        Return the request. The product needs parameters of scope `tier1` (or `tier2`). `subject` is
        a product, for a new reseller or `account`; or a tier configuration or a request of one, for
        an update.
        """
        if isinstance(subject, Product) or str(subject).startswith("PRD-"):
            sold = self._sold(subject if isinstance(subject, Product) else str(subject))
            named = tier(self._people.reseller() if account is None else account)
            configuration: Json = {
                "product": {"id": sold.id},
                "connection": {"id": sold["connection"]},
                "account": named,
                "tier_level": level,
            }
            body: Json = {"type": "setup", "configuration": configuration}
        else:
            held = self._configuration(str(subject))
            sold = self._sold(held["product"]["id"])
            body = {"type": "update", "configuration": {"id": held["id"]}}
        body["params"] = names.values(sold.params, params, sold.id)
        if draft:
            body["status"] = "draft"
        return self._object(self._api(False).post("/tier/config-requests", body))

    def _configuration(self, pk: str) -> Json:
        data = self._read(pk)
        found: Json = data if prefix_of(pk) == "TC" else data.get("configuration") or {}
        if "id" not in found:
            raise ValueError(f"{pk} is not a product, a tier configuration or a request of one.")
        return found

    def tier_account(
        self, subject: Subject, *, tier: TierName = "customer", **changes: Any
    ) -> QueueObject:
        """Change a customer or reseller: the request that asks the vendor, as the distributor.

        `subject` is a tier account TA-…, or an order or a subscription and which `tier` of it.
        Without changes (`name`, `contact_info`, …) another address is given.
        """
        pk = str(subject)
        if prefix_of(pk) != "TA":
            asset = self._api().get(f"/assets/{self._subscription(subject)}")
            found = (asset.get("tiers") or {}).get(tier) or {}
            if not found.get("id"):
                raise ValueError(f"{asset['id']} has no {tier}.")
            pk = str(found["id"])
        changes = changes or {"contact_info": {"address_line2": self._people.suite()}}
        body = {"type": "update", "account": {"id": pk, **changes}}
        return self._object(self._api(False).post("/tier/account-requests", body))
