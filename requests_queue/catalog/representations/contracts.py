"""Contracts and the agreements that they are made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from django.conf import settings

from requests_queue.api.resources import (
    HAPPENED,
    MADE,
    NAMED,
    Constant,
    Field,
    Part,
    Resource,
    absent,
)
from requests_queue.api.schema import Stamp, Uri
from requests_queue.catalog import agreements
from requests_queue.catalog.models import Agreement, Contract
from requests_queue.catalog.representations import PICTURED

_AGREEMENT = replace(NAMED, keys={"id": str, "name": Field(str, agreements.shown_name)})
# `signed` is the vendor's enrolment or signature, `countersigned` the provider's signature.
_CONTRACT: dict[str, Any] = {
    "id": str,
    "name": str,
    "type": str,
    "status": Literal["enrolling", "pending", "active", "rejected", "terminated"],
    "version": Constant(1, int),
    "version_created": Field(Stamp, "created", unfiltered=True),
    "kind": Literal["production", "test"],
    "owner": Field(PICTURED, "vendor"),
    "issuer": Field(PICTURED, "provider"),
    "agreement": Field(_AGREEMENT, agreements.of_contract),
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
    "A contract of vendor and provider; a distribution contract is for a marketplace.",
    {**_CONTRACT, "marketplace": Field(PICTURED, optional=True)},
    model=Contract,
    search=("id", "name"),
    also={
        "agreement.id": Field(str, "agreement_id"),
        "agreement.name": Field(str, "agreement_name"),
        "agreement.owner.id": "provider__id",
        **absent(
            "agreement.product_groups.id",
            "agreement.product_groups.products.id",
            "agreement.sourcing_agreement.id",
            "agreement.sourcing_agreement.type",
            "events.created.by.id",
            "events.created.by.name",
            "events.signed.by.id",
            "events.signed.by.name",
            "partner.id",
            "referral.agreement.id",
            "sourcing.listing.id",
            "sourcing.marketplace.id",
            "sourcing.marketplace.name",
            "sourcing.product.id",
            "sourcing.product.name",
        ),
    },
)
CONTRACT_VERSION = Part(
    "ContractVersion",
    "A version of a contract: there is one.",
    {
        "contract": Part(
            "ContractOfVersion",
            "A contract: the vendor's, issued by the provider.",
            _CONTRACT,
        ),
        "version": Constant("1", str),
        "version_created": Field(Stamp, "created"),
    },
)
NEW_CONTRACT = Part(
    "NewContract",
    "A program contract as it is created, with what activates the account of the partner.",
    {
        **_CONTRACT,
        "partner": Field(PICTURED, "vendor"),
        "activation": Part(
            "ContractActivation",
            "The message to the partner, and the code that `POST /accounts` takes.",
            {
                "message": str,
                # The issuer alone can use it, so the id is enough.
                "code": Field(str, "pk"),
                # Its page is the portal's Home: programs read the code in its query.
                "link": Field(Uri, lambda row: f"{settings.SIM_PUBLIC_URL}/?secret={row.pk}"),
            },
        ),
    },
)

AGREEMENT = Resource(
    "Agreement",
    "What contracts are made from; a distribution agreement is for a marketplace.",
    {
        "id": str,
        "name": Field(str, agreements.shown_name),
        "type": Literal["distribution", "program"],
        "title": Field(str, agreements.shown_name),
        "description": str,
        "created": Stamp,
        "updated": Stamp,
        "events": MADE,
        "owner": Field(PICTURED),
        "document_type": Literal["external", "uploaded", "none"],
        "auto_accept": bool,
        "version": Constant(1, int),
        "active": Constant(True, bool),
        "version_created": Field(Stamp, "created", unfiltered=True),
        "version_contracts": Field(int, "contract_count", unfiltered=True),
        "stats": Part(
            "AgreementStats",
            "How many of what an agreement has.",
            {
                "contracts": Field(int, "contract_count"),
                "versions": Constant(1, int),
            },
        ),
        "marketplace": Field(PICTURED, optional=True),
        "parent": Field(_AGREEMENT, optional=True),
    },
    model=Agreement,
    search=("id",),
    also={
        "name": Field(str, "name_shown"),
        "title": Field(str, "name_shown"),
        **absent("forms.id", "forms.type"),
    },
)
