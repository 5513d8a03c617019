"""Contracts and the agreements that they are made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from requests_queue.api.resources import HAPPENED, NAMED, Constant, Field, Part, Resource
from requests_queue.api.schema import Stamp
from requests_queue.catalog import agreements
from requests_queue.catalog.models import Contract, Marketplace
from requests_queue.catalog.representations import PICTURED

# All contracts here are of one kind; the other is `test`.
CONTRACT_KIND = "production"

_AGREEMENT = replace(
    NAMED, keys={"id": Field(str, agreements.id_of), "name": Field(str, agreements.name_of)}
)
# `signed` is the vendor's enrolment, `countersigned` the provider's signature.
_CONTRACT: dict[str, Any] = {
    "id": str,
    "name": str,
    "type": str,
    "status": Literal["enrolling", "pending", "active", "rejected", "terminated"],
    "version": Constant(1, int),
    "version_created": Field(Stamp, "created", unfiltered=True),
    "kind": Constant(CONTRACT_KIND, Literal["production", "test"]),
    "owner": Field(PICTURED, "vendor"),
    "issuer": Field(PICTURED, "provider"),
    "agreement": Field(_AGREEMENT, "marketplace"),
    "enrolled": Stamp | None,
    "events": Part(
        "ContractEvents",
        "The moments of a contract.",
        {
            "created": Field(HAPPENED),
            "signed": Field(HAPPENED, "enrolled", optional=True),
            "countersigned": Field(HAPPENED, "signed", optional=True),
            "terminated": Field(HAPPENED, optional=True),
        },
    ),
}
CONTRACT = Resource(
    "Contract",
    "A distribution contract, and the marketplace that it is for.",
    {**_CONTRACT, "marketplace": Field(PICTURED)},
    model=Contract,
    search=("id", "name"),
    also={
        "agreement.id": Field(str, "agreement_id"),
        "agreement.name": Field(str, "agreement_name"),
        "agreement.owner.id": "provider__id",
        "kind": Field(str, "kind_of_all"),
    },
)
CONTRACT_VERSION = Part(
    "ContractVersion",
    "A version of a contract: there is one.",
    {
        "contract": Part(
            "ContractOfVersion",
            "A distribution contract: the vendor's, issued by the provider.",
            _CONTRACT,
        ),
        "version": Constant("1", str),
        "version_created": Field(Stamp, "created"),
    },
)

# Of the fields of the document those that connect-sdk and the Haxe SDK read.
AGREEMENT = Resource(
    "Agreement",
    "What the contracts of a marketplace are made from.",
    {
        "id": Field(str, agreements.id_of),
        "name": Field(str, agreements.name_of),
        "type": Constant(agreements.KIND, Literal["distribution"]),
        "title": Field(str, agreements.name_of),
        "description": Constant("", str),
        "created": Stamp,
        "updated": Field(Stamp, "created"),
        "owner": Field(PICTURED),
        "marketplace": PICTURED,
        "version": Constant(1, int),
        "active": Constant(True, bool),
        "version_created": Field(Stamp, "created", unfiltered=True),
        "version_contracts": Field(int, "contract_count", unfiltered=True),
        "stats": Part(
            "AgreementStats",
            "How many of what an agreement has.",
            {
                "contracts": Field(int, "contract_count", unfiltered=True),
                "versions": Constant(1, int),
            },
        ),
    },
    model=Marketplace,
    also={
        "id": Field(str, "agreement_id"),
        "name": Field(str, "agreement_name"),
        "type": Field(str, "agreement_type"),
        "title": Field(str, "agreement_name"),
    },
)
