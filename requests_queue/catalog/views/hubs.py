"""`/hubs`, what is connected to them, and `/marketplaces`: where products are sold."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Connection, Hub, Marketplace
from requests_queue.catalog.representations.hubs import (
    HUB,
    HUB_CONNECTION,
    HUB_MARKETPLACE,
    MARKETPLACE,
)
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.catalog.views.placeholders import ReadPlaceholders
from requests_queue.catalog.writes import hubs, marketplaces
from requests_queue.db.rows import get_row


class Hubs(ReadPlaceholders, AuditedCollection):
    """`/hubs`, for both sides: a provider's own, a vendor's by connections and contracts.

    The provider writes them.
    """

    documented = Documented("Hubs", "hub", HUB)
    in_orders = "connection__hub"
    bodies = {"create": hubs.HubInput(), "update": hubs.HubInput(partial=True)}

    def visible(self) -> QuerySet[Hub]:
        return visibility.hubs(self.account)

    def annotations(self) -> dict[str, Coalesce]:
        """Return the counts of what this account sees of a hub."""
        return {
            "connection_count": visibility.count(visibility.connections(self.account), "hub"),
            "marketplace_count": visibility.count(visibility.marketplaces(self.account), "hubs"),
        }

    def create(self, request: Request) -> Response:
        """Create a hub, for its provider: 201, 400 or 403."""
        visibility.require_provider(self.account, "Hubs")
        return self.created(hubs.create(self.body, self.account))

    def update(self, request: Request, pk: str) -> Response:
        """Change a hub, for its provider: 200; what the body lacks stays as it is."""
        hubs.update(self._own().pk, self.body, self.account)
        return self.answer(self.get_object())

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a hub that has neither connections nor tier accounts, for its provider: 204."""
        hubs.delete(self._own().pk, self.account)
        return Response(status=204)

    def _own(self) -> Hub:
        row: Hub = self.get_object()
        visibility.require_provider(self.account, "Hubs")
        return row


class InHub(Collection):
    """What belongs to one hub; 404 where the caller doesn't see the hub."""

    @property
    def hub(self) -> Hub:
        """The hub in the path; raises Missing."""
        return get_row(visibility.hubs(self.account), self.kwargs["hub_id"])


class HubConnections(InHub):
    """`/hubs/{id}/connections`, for both sides: those that the caller is a party of."""

    documented = Documented("Hubs", "connection of a hub", HUB_CONNECTION)

    def visible(self) -> QuerySet[Connection]:
        return visibility.connections(self.account).filter(hub=self.hub)


class HubMarketplaces(InHub):
    """`/hubs/{id}/marketplaces`, for both sides: those that the caller sees."""

    documented = Documented("Hubs", "marketplace of a hub", HUB_MARKETPLACE)

    def visible(self) -> QuerySet[Marketplace]:
        return visibility.marketplaces(self.account).filter(hubs=self.hub)

    def annotations(self) -> dict[str, Value]:
        """Return the hub, which has an id of its own for the marketplace."""
        return {"seen_in": Value(self.kwargs["hub_id"], TextField())}


class Marketplaces(ReadPlaceholders, AuditedCollection):
    """`/marketplaces`, for both sides: a provider's own, a vendor's by contracts.

    The provider writes them.
    """

    documented = Documented("Marketplaces", "marketplace", MARKETPLACE)
    bodies = {
        "create": marketplaces.MarketplaceInput(),
        "update": marketplaces.MarketplaceInput(partial=True),
    }
    in_orders = "marketplace"

    def visible(self) -> QuerySet[Marketplace]:
        return visibility.marketplaces(self.account)

    def filtered_by(self) -> dict[str, Value]:
        """Return the caller, whose agreements a marketplace is found by."""
        return {"caller": Value(self.account.pk, TextField())}

    def complete(self, rows: QuerySet[Marketplace]) -> QuerySet[Marketplace]:
        """Return the marketplaces with the hubs that this account sees."""
        hubs = Prefetch("hubs", visibility.hubs(self.account))
        return super().complete(rows).prefetch_related(hubs)

    def annotations(self) -> dict[str, Coalesce]:
        """Return the counts of what this account sees of a marketplace."""
        contracts = visibility.contracts(self.account)
        active = contracts.filter(status="active")
        return {
            "hub_count": visibility.count(visibility.hubs(self.account), "marketplaces"),
            "contract_count": visibility.count(contracts, "marketplace"),
            "active_contract_count": visibility.count(active, "marketplace"),
        }

    def create(self, request: Request) -> Response:
        """Create a marketplace, for its provider: 201, 400 or 403."""
        visibility.require_provider(self.account, "Marketplaces")
        return self.created(marketplaces.create(self.body, self.account))

    def update(self, request: Request, pk: str) -> Response:
        """Change a marketplace, for its provider: 200; what the body lacks stays as it is."""
        marketplaces.update(self._own().pk, self.body, self.account)
        return self.answer(self.get_object())

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a marketplace that nothing refers to, for its provider: 204 or 400."""
        marketplaces.delete(self._own().pk, self.account)
        return Response(status=204)

    def _own(self) -> Marketplace:
        row: Marketplace = self.get_object()
        visibility.require_provider(self.account, "Marketplaces")
        return row


urlpatterns = [
    *routes("marketplaces", Marketplaces),
    *routes(
        "hubs",
        Hubs,
        path("hubs/<str:hub_id>/connections", HubConnections.as_view({"get": "list"})),
        path("hubs/<str:hub_id>/marketplaces", HubMarketplaces.as_view({"get": "list"})),
    ),
]
