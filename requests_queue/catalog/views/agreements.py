"""`/agreements`: what contracts are made from, read by connect-cli's catalog report and SDKs."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import agreements, visibility
from requests_queue.catalog.models import (
    Account,
    Agreement,
    Contract,
    Listing,
    Marketplace,
    Product,
)
from requests_queue.catalog.representations.contracts import AGREEMENT, CONTRACT
from requests_queue.catalog.representations.contracts import NEW_CONTRACT as NEW
from requests_queue.catalog.representations.hubs import MARKETPLACE
from requests_queue.catalog.representations.products import PRODUCT
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.catalog.views.contracts import Contracts
from requests_queue.catalog.views.hubs import Marketplaces
from requests_queue.catalog.views.products import Products
from requests_queue.catalog.writes import agreements as writes
from requests_queue.catalog.writes import partners
from requests_queue.db.rows import get_row
from requests_queue.errors import Missing


class Agreements(AuditedCollection):
    """`/agreements`, for both sides: a provider's own, a vendor's by contracts.

    The provider creates programs.
    """

    documented = Documented("Agreements", "agreement", AGREEMENT)
    bodies = {"create": writes.AgreementInput()}

    def visible(self) -> QuerySet[Agreement]:
        """Return the agreements, each with what it is called."""
        rows = visibility.agreements(self.account)
        return rows.alias(name_shown=agreements.shown_name_by())

    def annotations(self) -> dict[str, Case]:
        """Return the count of an agreement's contracts."""
        contracts = visibility.contracts(self.account)
        of_place = contracts.filter(marketplace=OuterRef("marketplace"))
        counted = of_place.order_by().values("marketplace").annotate(n=Count("pk")).values("n")
        count = Coalesce(Subquery(counted), 0)
        return {
            "contract_count": Case(
                When(agreements.OF_CONTRACTS, then=count),
                default=visibility.count(contracts, "program"),
            )
        }

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a program agreement, for providers: 201, 400 or 403."""
        visibility.require_provider(self.account, "Agreements")
        return self.created(writes.create(self.body, self.account))


def _agreement(account: Account, pk: str) -> Agreement:
    """Return the agreement in a path; raises Missing."""
    return get_row(visibility.agreements(account), pk)


class AgreementsOfProgram(Agreements):
    """`/agreements/{id}/agreements`, for both sides; the provider creates them."""

    documented = Documented("Agreements", "agreement of a program", AGREEMENT)
    bodies = {"create": writes.DistributionAgreementInput()}

    def visible(self) -> QuerySet[Agreement]:
        """Return the agreements in the program; raises Missing."""
        program = _agreement(self.account, self.kwargs["agreement_id"])
        return super().visible().filter(parent=program)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a distribution agreement, for the program's provider: 201, 400 or 403."""
        program = _agreement(self.account, self.kwargs["agreement_id"])
        visibility.require_provider(self.account, "Agreements")
        return self.created(writes.create_in(program, self.body, self.account))


class ContractsOfAgreement(Contracts):
    """`/agreements/{id}/contracts`, for both sides; the provider creates those of programs."""

    documented = Documented(
        "Agreements", "contract of an agreement", CONTRACT, answers={"create": Answer(201, NEW)}
    )
    bodies = {"create": partners.ProgramContractInput()}

    def visible(self) -> QuerySet[Contract]:
        """Return the caller's contracts that were made from the agreement; raises Missing."""
        row, rows = _agreement(self.account, self.kwargs["agreement_id"]), super().visible()
        if row.parent_id:
            return rows.none()
        return rows.filter(Q(program=row) | Q(marketplace=row.marketplace_id, program=None))

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a new vendor's account and its contract, for the program's provider: 201.

        `POST /accounts` activates both.
        """
        program = _agreement(self.account, self.kwargs["agreement_id"])
        visibility.require_provider(self.account, "Contracts")
        return Response(NEW.represent(partners.create_contract(program, self.body)), 201)


class InAgreement(Collection):
    """What is sold under one agreement; 404 where the caller doesn't see the agreement."""

    def listings(self) -> QuerySet[Listing]:
        """Return what is listed under the agreement in the path; raises Missing."""
        row = _agreement(self.account, self.kwargs["agreement_id"])
        listed = visibility.listings(self.account).filter(status="listed")
        if row.parent_id or row.marketplace_id is None:
            # No contract is made from it.
            return listed.none()
        return listed.filter(contract__marketplace=row.marketplace_id)


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
    path(
        "agreements/<str:agreement_id>/agreements",
        AgreementsOfProgram.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "agreements/<str:agreement_id>/contracts",
        ContractsOfAgreement.as_view({"get": "list", "post": "create"}),
    ),
    path(_PRODUCTS, AgreementProducts.as_view({"get": "list"})),
    path(
        f"{_PRODUCTS}/<str:product_id>/marketplaces", AgreementMarketplaces.as_view({"get": "list"})
    ),
)
