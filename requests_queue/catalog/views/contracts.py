"""`/contracts`: contracts of vendors and providers, and the actions that change their status."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import agreements, visibility
from requests_queue.catalog.models import Contract
from requests_queue.catalog.representations.contracts import CONTRACT, CONTRACT_VERSION
from requests_queue.catalog.rest import routes
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.catalog.views.placeholders import ReadPlaceholders
from requests_queue.catalog.writes import contracts
from requests_queue.errors import Missing


class Contracts(ReadPlaceholders, AuditedCollection):
    """`/contracts`, for both sides: those that the caller is a party of."""

    documented = Documented(
        "Contracts",
        "contract",
        CONTRACT,
        answers={name: Answer(200) for name in contracts.STEPS},
    )
    related = (*CONTRACT.related, "program")
    in_orders = "contract"

    def visible(self) -> QuerySet[Contract]:
        return visibility.contracts(self.account).alias(
            agreement_id=agreements.id_of_contract_by(),
            agreement_name=agreements.name_of_contract_by(),
        )

    def act(self, request: Request, pk: str, name: str) -> Response:
        """Move a contract: 200 without a body; 400 or 403 where it isn't legal."""
        contracts.move(self.get_object(), name, self.account)
        return Response()


class ContractVersions(Contracts):
    """`/contracts/{id}/versions`, for both sides: the only one; 404 where it isn't seen."""

    documented = Documented("Contracts", "version of a contract", CONTRACT_VERSION)
    represent = staticmethod(CONTRACT_VERSION.represent)

    def visible(self) -> QuerySet[Contract]:
        """Return the contract in the path; raises Missing."""
        pk = self.kwargs["contract_id"]
        rows = super().visible().filter(pk=pk)
        if not rows.exists():
            raise Missing(pk)
        return rows

    def find(self, rows: QuerySet[Any], pk: str) -> Contract | None:
        """Return the contract for the number of its only version."""
        return rows.first() if pk == "1" else None


_act = Contracts.as_view({"post": "act"})
urlpatterns = routes(
    "contracts",
    Contracts,
    *(path(f"contracts/<str:pk>/{name}", _act, {"name": name}) for name in contracts.STEPS),
    path("contracts/<str:contract_id>/versions", ContractVersions.as_view({"get": "list"})),
    path(
        "contracts/<str:contract_id>/versions/<str:pk>",
        ContractVersions.as_view({"get": "retrieve"}),
    ),
)
