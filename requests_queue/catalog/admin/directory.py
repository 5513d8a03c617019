"""Admin pages of connections, contracts, hubs, marketplaces and listings."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from requests_queue.catalog import visibility
from requests_queue.catalog.admin.base import CatalogAdmin
from requests_queue.catalog.admin_access import account_of
from requests_queue.catalog.models import Connection, Contract, Hub, Listing, Marketplace


@admin.register(Connection)
class ConnectionAdmin(CatalogAdmin):
    """Connections of products to hubs."""

    kind = "connection"
    list_display = ("id", "type", "status", "product", "vendor", "provider", "hub")
    list_filter = ("type", "status", ("product", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("product", "vendor", "provider", "hub")
    search_fields = ("id", "product__id", "product__name")
    vendor_sees = ("vendor",)
    provider_sees = ("provider",)


@admin.register(Contract)
class ContractAdmin(CatalogAdmin):
    """Distribution contracts."""

    kind = "contract"
    list_display = ("name", "id", "type", "status", "vendor", "provider", "marketplace")
    list_filter = ("type", "status")
    list_select_related = ("vendor", "provider", "marketplace")
    search_fields = ("id", "name")
    vendor_sees = ("vendor",)
    provider_sees = ("provider",)


@admin.register(Hub)
class HubAdmin(CatalogAdmin):
    """Providers' commerce systems."""

    kind = "hub"
    list_display = ("name", "id", "company", "instance_id", "instance_type", "created")
    list_select_related = ("company",)
    search_fields = ("id", "name", "instance_id")
    filter_horizontal = ("marketplaces",)
    vendor_sees = ("connections__vendor",)
    provider_sees = ("company",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hub]:
        """Return the hubs with the marketplaces that the user may see."""
        rows: QuerySet[Hub] = super().get_queryset(request)
        account = account_of(request)
        if account is None:
            return rows
        return rows.prefetch_related(Prefetch("marketplaces", visibility.marketplaces(account)))


@admin.register(Marketplace)
class MarketplaceAdmin(CatalogAdmin):
    """Providers' marketplaces."""

    kind = "marketplace"
    list_display = ("name", "id", "owner", "zone", "currency", "created")
    list_select_related = ("owner",)
    search_fields = ("id", "name")
    vendor_sees = ("contracts__vendor",)
    provider_sees = ("owner",)


@admin.register(Listing)
class ListingAdmin(CatalogAdmin):
    """Products on marketplaces; listing requests change their status."""

    kind = "listing"
    list_display = ("id", "status", "product", "contract", "updated")
    list_filter = ("status",)
    list_select_related = ("product", "contract")
    search_fields = ("id", "product__id", "product__name")
    vendor_sees = ("contract__vendor",)
    provider_sees = ("contract__provider",)
