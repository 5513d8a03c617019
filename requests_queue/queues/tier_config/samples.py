"""Sample tier configuration requests of each type, and previews of them."""

from __future__ import annotations

from typing import Any

from requests_queue import ids
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog import sample_values, visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Connection, Listing, Product
from requests_queue.errors import Invalid, Refused
from requests_queue.queues import sampling, transitions
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest
from requests_queue.queues.tier_config import creation, inputs, setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest

_ADDRESS = {
    "address_line1": "18 Quay Street",
    "address_line2": "",
    "city": "Galway",
    "state": "",
    "postal_code": "H91 X2C4",
    "country": "IE",
}
_PHONE = {"country_code": "+353", "area_code": "91", "phone_number": "5550164", "extension": ""}


def create_sample(
    kind: str,
    product: Product | None = None,
    account: Account | None = None,
    *,
    draft: bool = False,
) -> TierConfigRequest:
    """Create a request of a type, for a product (None: any that configures resellers).

    A setup gets a new reseller. An update or adjustment gets an active configuration; where
    there is none, one is set up and approved first. Raises Refused, of a draft also without the
    capability for drafts.
    """
    if draft:
        sampling.check_type(kind, creation.DRAFT_CAPABILITY, " (drafts)")
    elif kind not in inputs.TYPES:
        raise Invalid("type", f'"{kind}" is not a valid choice.')
    connection = connection_for(product, account, creation.DRAFT_CAPABILITY[kind] if draft else "")
    distributor = sampling.with_user(connection.provider)
    if kind == "setup":
        return creation.create(setup_body(connection) | _status(draft), distributor)
    config = _active(connection) or _activated(connection, distributor)
    return creation.create(_body_about(kind, config, draft), distributor)


def _status(draft: bool) -> dict[str, str]:
    return {"status": "draft"} if draft else {}


def _body_about(kind: str, config: TierConfig, draft: bool) -> dict[str, Any]:
    params = sample_params(config.params)
    return {"type": kind, "configuration": {"id": config.pk}, "params": params} | _status(draft)


def connection_for(product: Product | None, account: Account | None, draft: str = "") -> Connection:
    """Return a connection of a listed product that configures resellers of tier 1.

    With `draft`, the product also has that capability. Raises Refused.
    """
    rows = visibility.connections(account).select_related("product", "provider", "vendor")
    for row in sampling.of_product(rows, product).order_by("pk"):
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


def setup_body(connection: Connection) -> dict[str, Any]:
    """Return the body of a setup request of a new reseller."""
    number = ids.draw("tier_account").rpartition("-")[2]
    contact = {
        "first_name": "Nora",
        "last_name": "Keane",
        "phone_number": _PHONE,
        "email": f"nora.keane@reseller{number}.example.com",
    }
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
    return [sample_values.fill(p) for p in params if p["phase"] == phase]


def _active(connection: Connection) -> TierConfig | None:
    rows = TierConfig.objects.filter(connection=connection, status="active")
    return rows.exclude(requests__status__in=OPEN).order_by("pk").first()


def _activated(connection: Connection, distributor: Actor) -> TierConfig:
    """Create a configuration and approve its setup as the vendor."""
    request = creation.create(setup_body(connection), distributor)
    vendor = sampling.with_user(connection.vendor)
    creation.edit(request.pk, {"params": sample_params(request.params, "fulfillment")}, vendor)
    tile = {"template": {"representation": "# Welcome\n\nYou can sell our product now."}}
    transitions.move(TierConfigRequest, request.pk, "approve", vendor, tile)
    return TierConfig.objects.get(pk=request.configuration_id)


# Configurations that a preview offers at most.
OFFERED = 50
_NOTES = PreviewField("notes", "Notes", "Request")


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /tier/config-requests`; raises Refused."""
    types = creation.DRAFT_CAPABILITY if request.draft else inputs.TYPES
    sampling.check_type(request.kind, types)
    return _setup(request) if request.kind == "setup" else _about_config(request)


def _setup(request: SampleRequest) -> Preview:
    capability = creation.DRAFT_CAPABILITY["setup"] if request.draft else ""
    connection = connection_for(request.product, request.account, capability)
    body = setup_body(connection) | _status(request.draft)
    entries = sampling.company_fields("configuration.account", "Reseller")
    return Preview(
        body,
        Actor(None, connection.provider),
        connection.product,
        (*entries, _NOTES),
        sampling.filled(parameters.blank(connection.product, setup.SCOPES[1])),
    )


def _about_config(request: SampleRequest) -> Preview:
    rows = creation.visible_configs(request.account).filter(status="active")
    rows = rows.exclude(requests__status__in=OPEN).select_related(
        "account", "product", "connection__provider"
    )
    configs = list(sampling.of_product(rows, request.product).order_by("pk")[:OFFERED])
    if not configs:
        raise Refused(
            "REQ_003",
            f"There is no configuration for a request of type {request.kind}. It must be active "
            "and have no open request.",
        )
    config = sampling.chosen(configs, request.about)
    if request.draft:
        capability = creation.DRAFT_CAPABILITY[request.kind]
        sampling.draft_status(request.kind, capability, config.product)
    body = _body_about(request.kind, config, request.draft) | {"params": []}
    return Preview(
        body,
        Actor(None, config.connection.provider),
        config.product,
        (_NOTES,),
        tuple(p for p in config.params if p["phase"] == "ordering"),
        "params",
        "Configuration",
        tuple((row.pk, f"{row.account.name} · {row.product.name}") for row in configs),
        config.pk,
    )
