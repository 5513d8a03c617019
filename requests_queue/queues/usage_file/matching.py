"""What the rows of a usage file speak of: the product's items, the contract's subscriptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from requests_queue.catalog.models import Asset, Item
from requests_queue.catalog.writes import items, products
from requests_queue.errors import Invalid
from requests_queue.queues.usage_file.cells import Wrong
from requests_queue.queues.usage_file.models import UsageFile

_ITEM_BY = {"item.mpn": "mpn", "item.local_id": "local_id", "item.id": "id", "item.global_id": "id"}
_ASSET_BY = {
    "asset.id": "id",
    "asset.external_id": "external_id",
    "asset.external_uid": "external_uid",
}
_PARAMETER = "parameter."


class Items:
    """The items of a product, by what rows may name them by."""

    def __init__(self, file: UsageFile) -> None:
        self._product = file.product
        self._by: dict[str, dict[str, Item]] = {"mpn": {}, "local_id": {}, "id": {}}
        for item in Item.objects.filter(product=file.product_id):
            self._add(item)

    def _add(self, item: Item) -> None:
        for name, known in self._by.items():
            known[getattr(item, name)] = item

    def find(self, criteria: str, value: str) -> Item | None:
        """Return the item that a row names; raises Wrong for a criterion that isn't known."""
        name = _ITEM_BY.get(criteria)
        if name is None:
            raise Wrong("USG_010", f"Search items by {', '.join(_ITEM_BY)}.")
        return self._by[name].get(value)

    def define(self, mpn: str, name: str, unit: str, precision: str) -> Item:
        """Return an item that a row defines itself (capability `ppu.dynamic`), made if new.

        Made as vendors make them, and used at once.  Raises Wrong.
        """
        found = self._by["mpn"].get(mpn)
        if found is not None:
            return found
        given = {
            "name": name, "mpn": mpn, "type": "PPU", "unit": {"id": unit, "title": unit},
            "precision": precision or "Decimal(8)", "dynamic": True,
        }  # fmt: skip
        try:
            with transaction.atomic():
                # Another file may define it at the same time.
                products.lock(self._product)
                item = Item.objects.filter(product=self._product, mpn=mpn).first()
                if item is None:
                    item = items.create(self._product, items.ItemInput().check(given))
                    item.status = "published"
                    item.save(update_fields=["status"])
        except Invalid as refused:
            raise Wrong("USG_013", f"The item can't be defined: {refused}") from None
        self._add(item)
        return item

    @property
    def dynamic(self) -> bool:
        """Whether rows may define items."""
        return bool(self._product.capability("ppu.dynamic"))


class Assets:
    """The subscriptions of a product under a contract, looked up batch by batch."""

    def __init__(self, file: UsageFile) -> None:
        self._rows = Asset.objects.filter(product=file.product_id, contract=file.contract_id)
        self._found: dict[tuple[str, str], list[str]] = {}
        self._parameters: dict[str, dict[str, list[str]]] = {}

    def look_up(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Look up what the rows of a batch name, one query per criterion."""
        values: dict[str, set[str]] = defaultdict(set)
        for criteria, value in wanted:
            values[criteria].add(value)
        self._found = {}
        for criteria, texts in values.items():
            column = _ASSET_BY.get(criteria)
            if column is not None:
                rows = self._rows.filter(**{f"{column}__in": texts})
                for pk, value in rows.values_list("pk", column):
                    self._found.setdefault((criteria, value), []).append(pk)
            elif criteria.startswith(_PARAMETER):
                known = self._by_parameter(criteria.removeprefix(_PARAMETER))
                self._found |= {(criteria, t): known[t] for t in texts if t in known}

    def _by_parameter(self, name: str) -> dict[str, list[str]]:
        """Return the subscriptions by their value of a parameter, read once per file."""
        if name not in self._parameters:
            known: dict[str, list[str]] = defaultdict(list)
            for pk, params in self._rows.values_list("pk", "params").iterator():
                for value in _values(params, name):
                    known[value].append(pk)
            self._parameters[name] = dict(known)
        return self._parameters[name]

    def find(self, criteria: str, value: str) -> str:
        """Return the id of the subscription that a row names; raises Wrong."""
        if criteria not in _ASSET_BY and not criteria.startswith(_PARAMETER):
            known = ", ".join((*_ASSET_BY, f"{_PARAMETER}<id>"))
            raise Wrong("USG_020", f"Search subscriptions by {known}.")
        found = self._found.get((criteria, value), [])
        if not found:
            raise Wrong("USG_021", f"No subscription of the contract has {criteria} {value}.")
        if len(found) > 1:
            raise Wrong("USG_022", f"{len(found)} subscriptions have {criteria} {value}.")
        return found[0]


def _values(params: list[Any], name: str) -> list[str]:
    return [p["value"] for p in params if p.get("id") == name and p.get("value")]
