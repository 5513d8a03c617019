"""`/marketplaces`: where products are sold, and in which currency."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django.db.models.functions import Coalesce

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Marketplace
from requests_queue.catalog.representations.marketplaces import MARKETPLACE
from requests_queue.filtering import ConnectFilters
from requests_queue.rest import Collection, routes
from requests_queue.schema import Documented


class MarketplaceFilters(ConnectFilters):
    """What marketplaces can be filtered and ordered by."""

    MODEL = Marketplace
    # A marketplace of two hubs is one marketplace, also where both fit.
    DISTINCT = True
    FILTERS = MARKETPLACE.filters


class Marketplaces(Collection):
    """`/marketplaces`, for both sides: a provider's own, a vendor's by contracts."""

    documented = Documented("Marketplaces", "marketplace", MARKETPLACE)
    rql_filter_class = MarketplaceFilters

    def visible(self) -> QuerySet[Marketplace]:
        """Return the marketplaces."""
        return visibility.marketplaces(self.account).alias(**self._counts())

    def complete(self, rows: QuerySet[Marketplace]) -> QuerySet[Marketplace]:
        """Return the marketplaces; hubs and counts are what this account sees of them."""
        hubs = Prefetch("hubs", visibility.hubs(self.account))
        found: QuerySet[Marketplace] = (
            super().complete(rows).prefetch_related(hubs).annotate(**self._counts())
        )
        return found

    def _counts(self) -> dict[str, Coalesce]:
        contracts = visibility.contracts(self.account)
        active = contracts.filter(status="active")
        return {
            "hub_count": visibility.count(visibility.hubs(self.account), "marketplaces"),
            "contract_count": visibility.count(contracts, "marketplace"),
            "active_contract_count": visibility.count(active, "marketplace"),
        }


urlpatterns = routes("marketplaces", Marketplaces)
