"""What a sample of a tier configuration request would be, to be changed before it is created."""

from __future__ import annotations

from typing import Any

from requests_queue import sample_values
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog.actors import Actor
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.preview_fields import company_fields
from requests_queue.queues.tier_config import creation, inputs, samples, setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig

Json = dict[str, Any]
# Of more configurations the first are offered.
OFFERED = 50
_NOTES = PreviewField("notes", "Notes", "Request")


def build_preview(wish: SampleRequest) -> Preview:
    """Return what `POST /tier/config-requests` would be sent; raises Refused."""
    types = tuple(creation.DRAFT_CAPABILITY) if wish.draft else inputs.TYPES
    if wish.kind not in types:
        raise Invalid("type", f'"{wish.kind}" is not one of {", ".join(types)}.')
    return _setup(wish) if wish.kind == "setup" else _on_config(wish)


def _setup(wish: SampleRequest) -> Preview:
    capability = creation.DRAFT_CAPABILITY["setup"] if wish.draft else ""
    connection = samples.connection_for(wish.product, wish.account, capability)
    body = samples.setup_of(connection) | _status(wish)
    blank = parameters.blank(connection.product, setup.SCOPES[1])
    entries = company_fields("configuration.account", "Reseller")
    return Preview(
        body, Actor(None, connection.provider), connection.product, (*entries, _NOTES),
        tuple(_proposed(p) for p in blank if p["phase"] == "ordering"),
    )  # fmt: skip


def _status(wish: SampleRequest) -> dict[str, str]:
    return {"status": "draft"} if wish.draft else {}


def _proposed(param: Json) -> Json:
    filled = dict(param)
    parameters.set_value(filled, sample_values.fill(param, f"sample {param['id']}"))
    return filled


def _on_config(wish: SampleRequest) -> Preview:
    rows = creation.visible_configs(wish.account).filter(status="active")
    if wish.product is not None:
        rows = rows.filter(product=wish.product)
    rows = rows.exclude(requests__status__in=OPEN).select_related(
        "account", "product", "connection__provider"
    )
    found = list(rows.order_by("pk")[:OFFERED])
    config = next((row for row in found if row.pk == wish.about), found[0] if found else None)
    if config is None:
        raise Refused(
            "REQ_003",
            f"A request of type {wish.kind} needs a configuration that is active and has no "
            f"open request: there is none.",
        )
    return _of(config, found, wish)


def _of(config: TierConfig, found: list[TierConfig], wish: SampleRequest) -> Preview:
    capability = creation.DRAFT_CAPABILITY.get(wish.kind, "")
    if wish.draft and not config.product.capability(capability):
        raise Refused(
            "REQ_003",
            f"{config.product_id} doesn't have the capability {capability}, without which a "
            f"request of type {wish.kind} is never a draft.",
        )
    body = {"type": wish.kind, "configuration": {"id": config.pk}, "params": []} | _status(wish)
    return Preview(
        body, Actor(None, config.connection.provider), config.product, (_NOTES,),
        tuple(p for p in config.params if p["phase"] == "ordering"), "params", "Configuration",
        tuple((row.pk, f"{row.account.name} · {row.product.name}") for row in found), config.pk,
    )  # fmt: skip
