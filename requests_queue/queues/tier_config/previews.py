"""Previews of tier configuration requests."""

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
# Configurations that a preview offers at most.
OFFERED = 50
_NOTES = PreviewField("notes", "Notes", "Request")


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /tier/config-requests`; raises Refused."""
    types = tuple(creation.DRAFT_CAPABILITY) if request.draft else inputs.TYPES
    if request.kind not in types:
        raise Invalid("type", f'"{request.kind}" is not one of {", ".join(types)}.')
    return _setup(request) if request.kind == "setup" else _about_config(request)


def _setup(request: SampleRequest) -> Preview:
    capability = creation.DRAFT_CAPABILITY["setup"] if request.draft else ""
    connection = samples.connection_for(request.product, request.account, capability)
    body = samples.setup_body(connection) | _status(request)
    blank = parameters.blank(connection.product, setup.SCOPES[1])
    entries = company_fields("configuration.account", "Reseller")
    return Preview(
        body, Actor(None, connection.provider), connection.product, (*entries, _NOTES),
        tuple(_filled(p) for p in blank if p["phase"] == "ordering"),
    )  # fmt: skip


def _status(request: SampleRequest) -> dict[str, str]:
    return {"status": "draft"} if request.draft else {}


def _filled(param: Json) -> Json:
    """Return a copy of a parameter with a sample value."""
    filled = dict(param)
    parameters.set_value(filled, sample_values.fill(param, f"sample {param['id']}"))
    return filled


def _about_config(request: SampleRequest) -> Preview:
    rows = creation.visible_configs(request.account).filter(status="active")
    if request.product is not None:
        rows = rows.filter(product=request.product)
    rows = rows.exclude(requests__status__in=OPEN).select_related(
        "account", "product", "connection__provider"
    )
    configs = list(rows.order_by("pk")[:OFFERED])
    config = next(
        (row for row in configs if row.pk == request.about), configs[0] if configs else None
    )
    if config is None:
        raise Refused(
            "REQ_003",
            f"There is no configuration for a request of type {request.kind}. It must be active "
            "and have no open request.",
        )
    config = next((row for row in configs if row.pk == request.about), configs[0])
    return _of_config(config, configs, request)


def _of_config(config: TierConfig, configs: list[TierConfig], request: SampleRequest) -> Preview:
    capability = creation.DRAFT_CAPABILITY.get(request.kind, "")
    if request.draft and not config.product.capability(capability):
        raise Refused(
            "REQ_003",
            f"Drafts of type {request.kind} need the capability {capability}, which "
            f"{config.product_id} does not have.",
        )
    body = {"type": request.kind, "configuration": {"id": config.pk}, "params": []} | _status(
        request
    )
    return Preview(
        body, Actor(None, config.connection.provider), config.product, (_NOTES,),
        tuple(p for p in config.params if p["phase"] == "ordering"), "params", "Configuration",
        tuple((row.pk, f"{row.account.name} · {row.product.name}") for row in configs), config.pk,
    )  # fmt: skip
