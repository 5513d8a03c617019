"""`/agreements`: what contracts are made from, read by connect-cli's catalog report and SDKs."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, Model, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.urls import path

from requests_queue.api.schema import Documented
from requests_queue.catalog import agreements, visibility
from requests_queue.catalog.models import Listing, Marketplace, Product
from requests_queue.catalog.representations.contracts import AGREEMENT
from requests_queue.catalog.representations.hubs import MARKETPLACE
from requests_queue.catalog.representations.products import PRODUCT
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.views.hubs import Marketplaces
from requests_queue.catalog.views.products import Products
from requests_queue.errors import Missing


class Agreements(Collection):
    """`/agreements`, for both sides, read-only: those of the marketplaces that the caller sees."""

    documented = Documented("Agreements", "agreement", AGREEMENT)

    def visible(self) -> QuerySet[Marketplace]:
        """Return the marketplaces, each with what its agreement is called."""
        return visibility.marketplaces(self.account).alias(
            agreement_id=agreements.id_by(),
            agreement_name=agreements.name_by(),
            agreement_type=Value(agreements.KIND, TextField()),
        )

    def annotations(self) -> dict[str, Coalesce]:
        """Return the count of an agreement's contracts."""
        contracts = visibility.contracts(self.account)
        return {"contract_count": visibility.count(contracts, "marketplace")}

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the row by the agreement's id."""
        return rows.filter(agreement_id=pk).first()


class InAgreement(Collection):
    """What is sold under one agreement; 404 where the caller doesn't see the agreement."""

    def listings(self) -> QuerySet[Listing]:
        """Return what is listed under the agreement in the path; raises Missing."""
        pk = self.kwargs["agreement_id"]
        rows = visibility.marketplaces(self.account).alias(agreement_id=agreements.id_by())
        row = rows.filter(agreement_id=pk).first()
        if row is None:
            raise Missing(pk)
        return visibility.listings(self.account).filter(contract__marketplace=row, status="listed")


class AgreementProducts(InAgreement, Products):
    """`/agreements/{id}/products`, for both sides: what is listed under it."""

    documented = Documented("Agreements", "product of an agreement", PRODUCT)

    def visible(self) -> QuerySet[Product]:
        return super().visible().filter(Exists(self.listings().filter(product=OuterRef("pk"))))


class AgreementMarketplaces(InAgreement, Marketplaces):
    """`/agreements/{id}/products/{id}/marketplaces`, for both sides: where it is listed."""

    documented = Documented("Agreements", "marketplace of an agreement", MARKETPLACE)

    def visible(self) -> QuerySet[Marketplace]:
        """Return the marketplaces; raises Missing where the product isn't listed."""
        product = self.kwargs["product_id"]
        found = self.listings().filter(product=product)
        if not found.exists():
            raise Missing(product)
        return super().visible().filter(pk__in=found.values("contract__marketplace"))


_PRODUCTS = "agreements/<str:agreement_id>/products"
urlpatterns = routes(
    "agreements",
    Agreements,
    path(_PRODUCTS, AgreementProducts.as_view({"get": "list"})),
    path(
        f"{_PRODUCTS}/<str:product_id>/marketplaces", AgreementMarketplaces.as_view({"get": "list"})
    ),
)
