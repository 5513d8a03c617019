"""Lookup of the items and subscriptions that the rows of a usage file name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction

from requests_queue.catalog.models import Asset, Item
from requests_queue.catalog.writes import items, products
from requests_queue.errors import Invalid
from requests_queue.queues.usage_file.cells import CellError
from requests_queue.queues.usage_file.models import UsageFile

_ITEM_BY = {"item.mpn": "mpn", "item.local_id": "local_id", "item.id": "id", "item.global_id": "id"}
_ASSET_BY = {
    "asset.id": "id",
    "asset.external_id": "external_id",
    "asset.external_uid": "external_uid",
}
_PARAMETER = "parameter."


class Items:
    """The items of a file's product, indexed by the values of each search criterion."""

    def __init__(self, file: UsageFile) -> None:
        self._product = file.product
        self._by: dict[str, dict[str, Item]] = {"mpn": {}, "local_id": {}, "id": {}}
        for item in Item.objects.filter(product=file.product_id):
            self._add(item)

    def _add(self, item: Item) -> None:
        for name, items_by_value in self._by.items():
            items_by_value[getattr(item, name)] = item

    def find(self, criteria: str, value: str) -> Item | None:
        """Return the item that a row names; raises CellError for an unknown criterion."""
        name = _ITEM_BY.get(criteria)
        if name is None:
            raise CellError("USG_010", f"Unknown criterion. Available: {', '.join(_ITEM_BY)}.")
        return self._by[name].get(value)

    def define(self, mpn: str, name: str, unit: str, precision: str) -> Item:
        """Return the item that a row defines (capability `ppu.dynamic`), created if it is new.

        It is created as by the API and published. Raises CellError.
        """
        existing = self._by["mpn"].get(mpn)
        if existing is not None:
            return existing
        data = {
            "name": name,
            "mpn": mpn,
            "type": "PPU",
            "unit": {"id": unit, "title": unit},
            "precision": precision or "Decimal(8)",
            "dynamic": True,
        }
        try:
            with transaction.atomic():
                # Race: another file may define the same item at the same time.
                products.lock(self._product)
                item = Item.objects.filter(product=self._product, mpn=mpn).first()
                if item is None:
                    item = items.create(self._product, items.ItemInput().check(data))
                    item.status = "published"
                    item.save(update_fields=["status"])
        except Invalid as refused:
            raise CellError("USG_013", f"The item cannot be created: {refused}") from None
        self._add(item)
        return item

    @property
    def dynamic(self) -> bool:
        """Return whether rows may define items."""
        return bool(self._product.capability("ppu.dynamic"))


class Assets:
    """The subscriptions of a file's product and contract, looked up in batches."""

    def __init__(self, file: UsageFile) -> None:
        self._rows = Asset.objects.filter(product=file.product_id, contract=file.contract_id)
        # Ids of subscriptions by (criteria, value), of the current batch.
        self._matches: dict[tuple[str, str], list[str]] = {}
        self._parameters: dict[str, dict[str, list[str]]] = {}

    def look_up(self, criteria_and_values: Iterable[Sequence[str]]) -> None:
        """Look up the subscriptions that the rows of a batch name, one query per criterion."""
        values: dict[str, set[str]] = defaultdict(set)
        for criteria, value in criteria_and_values:
            values[criteria].add(value)
        self._matches = {}
        for criteria, texts in values.items():
            column = _ASSET_BY.get(criteria)
            if column is not None:
                rows = self._rows.filter(**{f"{column}__in": texts})
                for pk, value in rows.values_list("pk", column):
                    self._matches.setdefault((criteria, value), []).append(pk)
            elif criteria.startswith(_PARAMETER):
                pks = self._by_parameter(criteria.removeprefix(_PARAMETER))
                self._matches |= {(criteria, t): pks[t] for t in texts if t in pks}

    def _by_parameter(self, name: str) -> dict[str, list[str]]:
        """Return ids of subscriptions by their value of a parameter, read once per file."""
        if name not in self._parameters:
            pks: dict[str, list[str]] = defaultdict(list)
            for pk, params in self._rows.values_list("pk", "params").iterator():
                for value in [p["value"] for p in params if p.get("id") == name and p.get("value")]:
                    pks[value].append(pk)
            self._parameters[name] = dict(pks)
        return self._parameters[name]

    def find(self, criteria: str, value: str) -> str:
        """Return the id of the subscription that a row names; raises CellError."""
        if criteria not in _ASSET_BY and not criteria.startswith(_PARAMETER):
            available = ", ".join((*_ASSET_BY, f"{_PARAMETER}<id>"))
            raise CellError("USG_020", f"Unknown criterion. Available: {available}.")
        pks = self._matches.get((criteria, value), [])
        if not pks:
            raise CellError("USG_021", f"No subscription of the contract has {criteria} {value}.")
        if len(pks) > 1:
            raise CellError("USG_022", f"{len(pks)} subscriptions have {criteria} {value}.")
        return pks[0]
