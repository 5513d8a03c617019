"""Admin pages of accounts, connections, hubs, marketplaces, customers and subscriptions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from requests_queue.catalog import visibility
from requests_queue.catalog.admin.base import CatalogAdmin
from requests_queue.catalog.admin_access import account_of
from requests_queue.catalog.admin_show import json_column
from requests_queue.catalog.models import (
    Account,
    Asset,
    Connection,
    Contract,
    Hub,
    Listing,
    Marketplace,
    TierAccount,
)
from requests_queue.catalog.writes import tier_accounts


@admin.register(Account)
class AccountAdmin(CatalogAdmin):
    """Vendors and providers; an account sees itself and its partners."""

    list_display = ("name", "id", "type", "role", "brand", "created")
    list_filter = ("type",)
    search_fields = ("id", "name", "external_id")
    vendor_sees = ("pk", "provided_connections__vendor")
    provider_sees = ("pk", "vended_connections__provider")

    def kind_of(self, obj: Account) -> str:
        """Vendors are `VA-`, providers `PA-`."""
        return obj.type

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the fields that cannot change after creation."""
        return [*super().get_readonly_fields(request, obj), *(["type"] if obj else [])]


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
    """Contracts; those of programs come from `POST /agreements/{id}/contracts` only."""

    kind = "contract"
    list_display = ("name", "id", "type", "status", "vendor", "provider", "marketplace")
    list_filter = ("type", "status")
    list_select_related = ("vendor", "provider", "marketplace")
    search_fields = ("id", "name")
    # Of a contract that is added here, always the default: for a marketplace.
    readonly_fields = ("type",)
    vendor_sees = ("vendor",)
    provider_sees = ("provider",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the fields that cannot change: a program contract has no marketplace."""
        more = ["marketplace"] if obj is not None and obj.program_id else []
        return [*super().get_readonly_fields(request, obj), *more]


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

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the form field; nothing is listed under a program contract."""
        if db_field.name == "contract":
            kwargs["queryset"] = Contract.objects.filter(program=None)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(TierAccount)
class TierAccountAdmin(CatalogAdmin):
    """Customers and resellers; vendors see those of their subscriptions."""

    kind = "tier_account"
    list_display = ("name", "id", "type", "external_id", "owner", "hub", "updated")
    list_filter = ("type", "environment")
    list_select_related = ("owner", "hub")
    search_fields = ("id", "name", "external_id", "external_uid")
    raw_id_fields = ("parent",)
    show_full_result_count = False
    vendor_sees = tuple(
        f"{tier}_assets__connection__vendor" for tier in ("customer", "tier1", "tier2")
    )
    provider_sees = ("owner",)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a tier account; like the API, a change adds a version and requests."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        row = TierAccount.objects.select_for_update().get(pk=obj.pk)
        tier_accounts.write(row, {name: form.cleaned_data[name] for name in form.changed_data})


CONTENTS: Any = (json_column("items", "items"), json_column("params", "parameters"))


@admin.register(Asset)
class AssetAdmin(CatalogAdmin):
    """Subscriptions, read-only: only requests change them."""

    list_display = ("id", "status", "product", "customer", "marketplace", "created", "updated")
    list_filter = ("status", ("product", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("product", "customer", "marketplace")
    search_fields = ("id", "external_id", "external_uid", "customer__name")
    show_full_result_count = False
    read_only = True
    vendor_sees = ("connection__vendor",)
    provider_sees = ("connection__provider",)
    readonly_fields = CONTENTS
    fieldsets = (
        (None, {"fields": ("id", "status", "product", "external_id", "external_uid")}),
        ("Parties", {"fields": ("connection", "contract", "marketplace")}),
        ("Tiers", {"fields": ("customer", "tier1", "tier2")}),
        ("Contents", {"fields": (*CONTENTS, "template")}),
        ("Dates", {"fields": ("created", "updated")}),
    )
