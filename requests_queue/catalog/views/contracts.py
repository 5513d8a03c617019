"""`/contracts`: under which products are sold, and the moves from one state to another."""

from __future__ import annotations

from django.db.models import QuerySet, TextField, Value
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.catalog import agreements, visibility
from requests_queue.catalog.models import Contract
from requests_queue.catalog.representations import contracts as contract_representations
from requests_queue.catalog.schema import directory
from requests_queue.catalog.writes import contracts
from requests_queue.errors import Missing
from requests_queue.filtering import ConnectFilters, computed, filters, parts
from requests_queue.rest import Collection, routes


class ContractFilters(ConnectFilters):
    """What contracts can be filtered and ordered by."""

    MODEL = Contract
    FILTERS = [
        *filters(
            "id", "name", "type", "status", ("owner.id", "vendor__id"),
            ("owner.name", "vendor__name"), ("issuer.id", "provider__id"),
            ("issuer.name", "provider__name"), ("agreement.owner.id", "provider__id"),
            ("marketplace.id", "marketplace__id"), ("marketplace.name", "marketplace__name"),
            ("events.created.at", "created"), ("events.signed.at", "enrolled"),
            ("events.countersigned.at", "signed"), ("events.terminated.at", "terminated"),
            "enrolled", search=("id", "name"),
        ),
        computed("kind", "kind_of_all", TextField()),
        computed("agreement.id", "agreement_id", TextField()),
        computed("agreement.name", "agreement_name", TextField()),
        *parts("version", "version_created", "owner", "issuer", "agreement",
               "marketplace", "events"),
    ]  # fmt: skip


class Contracts(Collection):
    """`/contracts`, for both sides: those that the caller is a party of."""

    documented = directory.CONTRACTS
    related = ("vendor", "provider", "marketplace")
    represent = staticmethod(contract_representations.contract)
    rql_filter_class = ContractFilters

    def visible(self) -> QuerySet[Contract]:
        """Return the contracts."""
        return visibility.contracts(self.account).alias(
            kind_of_all=Value(contract_representations.CONTRACT_KIND, TextField()),
            agreement_id=agreements.id_by("marketplace__"),
            agreement_name=agreements.name_by("marketplace__"),
        )

    def act(self, request: Request, pk: str, name: str) -> Response:
        """Move a contract: 200 without a body; 400 or 403 where it isn't legal."""
        contracts.move(self.get_object(), name, self.account)
        return Response()


class ContractVersions(Contracts):
    """`/contracts/{id}/versions`, for both sides: the only one; 404 where it isn't seen."""

    documented = directory.CONTRACT_VERSIONS
    represent = staticmethod(contract_representations.contract_version)

    def visible(self) -> QuerySet[Contract]:
        """Return the contract in the path; raises Missing."""
        pk = self.kwargs["contract_id"]
        rows = super().visible().filter(pk=pk)
        if not rows.exists():
            raise Missing(pk)
        return rows


_act = Contracts.as_view({"post": "act"})
urlpatterns = routes(
    "contracts",
    Contracts,
    *(path(f"contracts/<str:pk>/{name}", _act, {"name": name}) for name in contracts.STEPS),
    path("contracts/<str:contract_id>/versions", ContractVersions.as_view({"get": "list"})),
)
