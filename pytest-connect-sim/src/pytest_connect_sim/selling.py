"""Listing requests, billing requests and usage files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_connect_sim import names, periods, usage_rows
from pytest_connect_sim.actions import Actions, Items, Rows, Subject
from pytest_connect_sim.literals import BillingType, ListingType
from pytest_connect_sim.objects import Json, Product, QueueObject
from pytest_connect_sim.observer import settle

_PATIENCE = 10.0  # seconds

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True


class Selling(Actions):
    """Lists products, bills subscriptions, reports usage."""

    def listing(
        self,
        product: str | Product,
        type: ListingType = "update",
        *,
        submit: bool = True,
        note: str = "",
    ) -> QueueObject:
        """Request that a product is listed (`new`), updated or removed, as the vendor.

        `submit=False` leaves a draft. A fresh product is listed: `update` and `remove` are for it.
        """
        sold = self._sold(product)
        contract = sold["contract"] or self._contract()
        body = {"type": type, "product_id": sold.id, "contract_id": contract, "note": note}
        request = self._object(self._api().post("/listing-requests", body))
        if submit:
            self._api().post(f"/listing-requests/{request.id}/submit")
            request.refresh()
        return request

    def _contract(self) -> str:
        for row in self._api().pages("/contracts", "eq(status,active)"):
            return str(row["id"])
        raise ValueError("The vendor has no active contract.")

    def billing(
        self,
        subject: Subject,
        items: Items | None = None,
        *,
        period: Mapping[str, Any] | None = None,
        type: BillingType = "vendor",
        **attributes: Any,
    ) -> QueueObject:
        """Bill a subscription for a period, by default for the next one not billed, all its items.

        `period` has `from, to, delta, uom`. The vendor bills, or the distributor (`provider`),
        whose requests vendors don't see.
        """
        if type not in ("vendor", "provider"):
            raise ValueError(f"Unknown type {type!r}. Available: vendor, provider.")
        is_vendor = type == "vendor"
        pk = self._subscription(subject)
        path = f"/subscriptions/assets/{pk}"
        asset = self._api(is_vendor).get(path)
        if period is None and "next_date" not in (asset.get("billing") or {}):
            # The platform's job, which runs with every move, has not seen the subscription yet.
            settle(self._vendor, _PATIENCE)
            asset = self._api(is_vendor).get(path)
        rows = [row for row in asset["items"] if row["item_type"] == "reservation"]
        if items is None:
            billed: list[Json] = [{"id": row["global_id"]} for row in rows]
        else:
            known = [{**r, "id": r["global_id"], "local_id": r["id"]} for r in asset["items"]]
            billed = names.ordered(known, items, pk)
        body: Json = {
            "type": type,
            "asset": {"id": pk},
            "items": billed,
            "period": dict(period) if period is not None else periods.next_period(asset, type),
            "attributes": {type: attributes},
        }
        return self._object(self._api(is_vendor).post("/subscriptions/requests", body), is_vendor)

    def usage_file(
        self,
        rows: Rows,
        *,
        product: str | Product | None = None,
        period: Mapping[str, str] | None = None,
        name: str = "Usage",
        submit: bool = True,
    ) -> QueueObject:
        """Report usage as the vendor: rows `{"subscription": order, "item": "traffic", …}`.

        More keys are columns of Connect's spreadsheet: `quantity`, `amount`, `record_id`, …
        `period` has the days `from` and `to`: by default last month. The file is uploaded and
        processed, and submitted if it is valid, unless `submit=False`.
        """
        if not rows:
            raise ValueError("A usage file needs rows: {'subscription': …, 'item': …}.")
        days = dict(period) if period is not None else self._last_month()
        lines = [self._usage_row(row, n, product, days) for n, row in enumerate(rows, 1)]
        sold = self._sold(product or self._product_of(rows[0]))
        body = {
            "name": name,
            "product": {"id": sold.id},
            "period": days,
            "contract": {"id": sold["contract"] or self._contract()},
        }
        file = self._object(self._api().post("/usage/files", body))
        content = usage_rows.to_csv(lines)
        self._api().upload(f"/usage/files/{file.id}/upload", "usage_file", "usage.csv", content)
        status = self._processed(file)
        if submit and status != "invalid":
            self._api().post(f"/usage/files/{file.id}/submit")
        file.refresh()
        return file

    def _usage_row(
        self,
        row: Mapping[str, Any],
        number: int,
        product: str | Product | None,
        period: Mapping[str, str],
    ) -> Json:
        missing = [key for key in ("subscription", "item") if key not in row]
        if missing:
            raise ValueError(f"Row {number} of the usage has no {' and no '.join(missing)}.")
        sold = self._sold(product or self._product_of(row))
        mpn = str(names.item(sold.items, row["item"], sold.id)["mpn"])
        return usage_rows.cells(row, number, mpn, self._subscription(row["subscription"]), period)

    def _product_of(self, row: Mapping[str, Any]) -> str:
        asset = self._api().get(f"/assets/{self._subscription(row['subscription'])}")
        return str(asset["product"]["id"])

    def _last_month(self) -> dict[str, str]:
        return usage_rows.month_before(self._vendor.get("/sandbox/clock")["now"])

    def _processed(self, file: QueueObject) -> str:
        """Wait until a file is processed, and return its status."""
        ends = [{"status": {"object": file.id, "is": s}} for s in ("ready", "uploaded", "invalid")]
        self._vendor.post("/sandbox/wait", {"until": {"any": ends}, "timeout": 60})
        return file.status
