"""`/marketplaces`: where products are sold, and in which currency."""

from __future__ import annotations

from typing import Any

from django.db.models import IntegerField, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce

from requests_queue.catalog import representations, visibility
from requests_queue.catalog.models import Marketplace
from requests_queue.catalog.schema import directory
from requests_queue.filtering import ConnectFilters, computed, filters, inside_json, parts
from requests_queue.inside_json import any_element
from requests_queue.rest import Collection, routes


class MarketplaceFilters(ConnectFilters):
    """What marketplaces can be filtered and ordered by."""

    MODEL = Marketplace
    # A marketplace of two hubs is one marketplace, also where both fit.
    DISTINCT = True
    FILTERS = [
        *filters(
            "id", "name", "description", "currency", "zone", ("owner.id", "owner__id"),
            ("owner_id", "owner__id"), ("owner.name", "owner__name"), ("hubs.id", "hubs__id"),
            ("hubs.name", "hubs__name"), ("events.created.at", "created"),
            search=("id", "name"),
        ),
        computed("stats.hubs", "hub_count", IntegerField()),
        computed("stats.contracts", "contract_count", IntegerField()),
        computed("active_contracts", "active_contract_count", IntegerField()),
        *inside_json("countries.id", "countries.name"),
        *parts("stats", "hubs", "countries", "owner", "icon", "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the countries."""
        return any_element(Marketplace, "countries", data.filter_name.rpartition(".")[2], data)


class Marketplaces(Collection):
    """`/marketplaces`, for both sides: a provider's own, a vendor's by contracts."""

    documented = directory.MARKETPLACES
    related = ("owner",)
    represent = staticmethod(representations.marketplace)
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
