"""What the methods that create objects have in common: clients, products, subscriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from pytest_connect_sim.client import Client
from pytest_connect_sim.objects import PATHS, Json, Product, QueueObject, prefix_of
from pytest_connect_sim.tier_data import People

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Subject = Union[str, QueueObject]
Items = Mapping[str, Any]
Params = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


class Actions:
    """The parties' clients, and the objects that tests name."""

    def __init__(self, vendor: Client, provider: Client, people: People) -> None:
        self._vendor, self._provider, self._people = vendor, provider, people
        self._products: dict[str, Product] = {}

    # Products, and objects by their ids.

    def _sold(self, product: str | Product) -> Product:
        """Return a product with its parts; of an id those that it has now."""
        if isinstance(product, Product):
            return product
        if product not in self._products:
            self._products[product] = Product(self._vendor.get(f"/sandbox/products/{product}"))
        return self._products[product]

    def _api(self, vendor: bool = True) -> Client:
        return (self._vendor if vendor else self._provider).at("/public/v1")

    def _object(self, data: Json, vendor: bool = True) -> QueueObject:
        return QueueObject(self._api(vendor), data)

    def _read(self, subject: Subject) -> Json:
        pk = str(subject)
        if prefix_of(pk) not in PATHS:
            raise ValueError(f"{pk!r} is not the id of an object of a queue or a subscription.")
        data: Json = self._api(prefix_of(pk) != "BRP").get(f"{PATHS[prefix_of(pk)]}/{pk}")
        return data

    def _subscription(self, subject: Subject) -> str:
        """Return the id of the subscription of an order, or of the subscription itself."""
        pk = str(subject)
        if prefix_of(pk) == "AS":
            return pk
        data = subject.data if isinstance(subject, QueueObject) else self._read(pk)
        asset = data.get("asset") or {}
        if not asset.get("id"):
            raise ValueError(f"{pk} has no subscription: name an order or AS-….")
        return str(asset["id"])
