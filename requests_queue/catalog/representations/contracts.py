"""What contracts and agreements look like in the API: `GET /contracts/{id}`, `/agreements/{id}`."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog import agreements
from requests_queue.catalog.models import Contract, Marketplace
from requests_queue.catalog.representations import account_ref, marketplace_ref
from requests_queue.resources import event_at, format_datetime
from requests_queue.schema import Json

# All contracts here are of one kind; the other is `test`.
CONTRACT_KIND = "production"


def contract(row: Contract) -> Json:
    """Return a contract as `GET /contracts/{id}` has it: the vendor's, issued by the provider.

    `signed` is the vendor's enrolment, `countersigned` the provider's signature.
    """
    moments = {
        "created": row.created, "signed": row.enrolled, "countersigned": row.signed,
        "terminated": row.terminated,
    }  # fmt: skip
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "status": row.status,
        "version": 1,
        "version_created": format_datetime(row.created),
        "kind": CONTRACT_KIND,
        "owner": account_ref(row.vendor),
        "issuer": account_ref(row.provider),
        "agreement": agreement_ref(row.marketplace),
        "marketplace": marketplace_ref(row.marketplace),
        "enrolled": format_datetime(row.enrolled),
        "events": {name: event_at(at) for name, at in moments.items() if at is not None},
    }


def contract_version(row: Contract) -> Json:
    """Return a contract's only version as `GET /contracts/{id}/versions` lists it."""
    whole = contract(row)
    version, created = str(whole["version"]), whole["version_created"]
    del whole["marketplace"]
    return {"contract": whole, "version": version, "version_created": created}


def agreement_ref(row: Marketplace) -> Json:
    """Return a marketplace's agreement as a reference."""
    return {"id": agreements.id_of(row), "name": agreements.name_of(row)}


def agreement(row: Any) -> Json:
    """Return a marketplace's agreement as `GET /agreements/{id}` has it, counted by the view.

    The document lacks it: the fields are those that connect-sdk and the Haxe SDK read.
    """
    created = format_datetime(row.created)
    return {
        **agreement_ref(row),
        "type": agreements.KIND,
        "title": agreements.name_of(row),
        "description": "",
        "created": created,
        "updated": created,
        "owner": account_ref(row.owner),
        "marketplace": marketplace_ref(row),
        "version": 1,
        "active": True,
        "version_created": created,
        "version_contracts": row.contract_count,
        "stats": {"contracts": row.contract_count, "versions": 1},
    }
