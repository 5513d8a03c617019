"""Sample tier configuration requests of each type."""

from __future__ import annotations

from typing import Any

from requests_queue import ids, sample_values, transitions
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Connection, Listing, Product
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.base import QueueObject
from requests_queue.queues.tier_config import creation, inputs, setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest

_ADDRESS = {
    "address_line1": "18 Quay Street", "address_line2": "", "city": "Galway", "state": "",
    "postal_code": "H91 X2C4", "country": "IE",
}  # fmt: skip
_PHONE = {"country_code": "+353", "area_code": "91", "phone_number": "5550164", "extension": ""}


def create_sample(
    kind: str, product: Product | None = None, account: Account | None = None
) -> QueueObject:
    """Create a request of a type, for a product (None: any that configures resellers).

    A setup gets a new reseller. An update or adjustment gets an active configuration; where
    there is none, one is set up and approved first. Raises Refused.
    """
    if kind not in inputs.TYPES:
        raise Invalid("type", f'"{kind}" is not a valid choice.')
    return _create(kind, connection_for(product, account))


def create_draft_sample(
    kind: str, product: Product | None = None, account: Account | None = None
) -> QueueObject:
    """Create a draft of a type likewise; raises Refused without the capability for drafts."""
    if kind not in creation.DRAFT_CAPABILITY:
        types = ", ".join(creation.DRAFT_CAPABILITY)
        raise Invalid("type", f'"{kind}" is not one of {types} (drafts).')
    connection = connection_for(product, account, creation.DRAFT_CAPABILITY[kind])
    return _create(kind, connection, status="draft")


def _create(kind: str, connection: Connection, **more: str) -> TierConfigRequest:
    distributor = Actor(connection.provider.users.first(), connection.provider)
    if kind == "setup":
        return _set_up(connection, distributor, **more)
    config = _active(connection) or _activated(connection, distributor)
    body = {
        "type": kind,
        "configuration": {"id": config.pk},
        "params": sample_params(config.params),
    }
    return creation.create(body | more, distributor)


def connection_for(product: Product | None, account: Account | None, draft: str = "") -> Connection:
    """Return a connection of a listed product that configures resellers of tier 1.

    With `draft`, the product also has that capability. Raises Refused.
    """
    rows = visibility.connections(account).select_related("product", "provider", "vendor")
    rows = rows.order_by("pk")
    for row in rows.filter(product=product) if product else rows:
        listed = Listing.objects.filter(
            product=row.product_id, status="listed", contract__provider=row.provider_id
        )
        has_drafts = not draft or row.product.capability(draft)
        if 1 in setup.levels(row.product) and has_drafts and listed.exists():
            return row
    raise Refused(
        "REQ_003",
        f"No connected and listed product configures resellers of tier 1"
        f"{' by drafts' if draft else ''}. It needs the capability tiers.configs, "
        f"{f'the capability {draft}, ' if draft else ''}and parameters of scope tier1.",
    )


def _set_up(connection: Connection, distributor: Actor, **more: str) -> TierConfigRequest:
    return creation.create(setup_body(connection) | more, distributor)


def setup_body(connection: Connection) -> dict[str, Any]:
    """Return the body of a setup request of a new reseller."""
    number = ids.draw("tier_account").rpartition("-")[2]
    contact = {
        "first_name": "Nora", "last_name": "Keane", "phone_number": _PHONE,
        "email": f"nora.keane@reseller{number}.example.com",
    }  # fmt: skip
    account = {
        "name": f"Atlantic Cloud Resellers {number}",
        "external_id": number,
        "contact_info": {**_ADDRESS, "contact": contact},
    }
    configuration = {
        "product": {"id": connection.product_id},
        "connection": {"id": connection.pk},
        "account": account,
        "tier_level": 1,
    }
    params = parameters.blank(connection.product, setup.SCOPES[1])
    return {"type": "setup", "configuration": configuration, "params": sample_params(params)}


def sample_params(params: parameters.Params, phase: str = "ordering") -> list[dict[str, Any]]:
    """Return sample values of the parameters of a phase."""
    return [sample_values.fill(p, f"sample {p['id']}") for p in params if p["phase"] == phase]


def _active(connection: Connection) -> TierConfig | None:
    rows = TierConfig.objects.filter(connection=connection, status="active")
    return rows.exclude(requests__status__in=OPEN).order_by("pk").first()


def _activated(connection: Connection, distributor: Actor) -> TierConfig:
    """Create a configuration and approve its setup as the vendor."""
    request = _set_up(connection, distributor)
    vendor = Actor(connection.vendor.users.first(), connection.vendor)
    creation.edit(request.pk, {"params": sample_params(request.params, "fulfillment")}, vendor)
    tile = {"template": {"representation": "# Welcome\n\nYou can sell our product now."}}
    transitions.move(TierConfigRequest, request.pk, "approve", vendor, tile)
    return TierConfig.objects.get(pk=request.configuration_id)
