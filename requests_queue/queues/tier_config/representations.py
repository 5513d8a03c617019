"""Tier configurations and the requests about them.

`GET /tier/config-requests/{id}` and `GET /tier/configs/{id}` of Connect's OpenAPI document, and
of objects that connect-python-sdk's tests captured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypedDict

from django.db.models import Q

from requests_queue.api.filter_tables import looked_up, parts
from requests_queue.api.inside_json import inside_json
from requests_queue.api.rendering import render
from requests_queue.api.resources import HAPPENED, MADE, NAMED, Field, Part, Resource, absent
from requests_queue.api.schema import Id, Json, Stamp, Uri
from requests_queue.catalog import templates
from requests_queue.catalog.models import Template, TierAccount
from requests_queue.catalog.parameter_values import Params
from requests_queue.catalog.representations import PICTURED
from requests_queue.catalog.representations.orders import (
    CONFIGURATION,
    CONNECTION,
    CONTRACT,
    PREVIOUS,
    PRODUCT,
)
from requests_queue.catalog.representations.tier_accounts import TIER
from requests_queue.catalog.schema import Environment, ParameterValue
from requests_queue.queues.inquiries import form_url
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.queues.tier_config.setup import SCOPES


def _params(row: Any) -> Params:
    return [{key: value for key, value in param.items() if key != "name"} for param in row.params]


def _open(row: TierConfig) -> Json | None:
    """Return the open request of a prefetched configuration; a draft only where it's alone."""
    rows: list[TierConfigRequest] = row.open_requests  # type: ignore[attr-defined]
    found = min(rows, key=lambda r: (r.status == "draft", r.pk), default=None)
    return {"id": found.pk} if found else None


_PARAMS = {"params.id": "id", "params.value": "value"}
CONFIG = Resource(
    "TierConfig",
    "What a vendor has set up for a reseller of a product.",
    {
        "id": str,
        "name": Field(str, lambda row: f"Configuration of {row.account.name}"),
        "account": Field(TIER),
        "product": Field(PRODUCT),
        "tier_level": Literal[1, 2],
        "connection": Field(CONNECTION),
        "events": MADE,
        "params": Field(list[ParameterValue], _params),
        "status": Literal["processing", "active"],
        "configuration": CONFIGURATION,
        "contract": Field(CONTRACT),
        "marketplace": Field(PICTURED),
        "template": Field(replace(NAMED, named=("id",)), optional=True),
        "open_request": Field(Id, _open, optional=True),
    },
    model=TierConfig,
    named=("id", "status", "tier_level"),
    also={
        "created": "created",
        "updated": "updated",
        "account.company_name": "account__name",
        "account.hub.id": "account__hub__id",
        "account.hub.name": "account__hub__name",
        "parent.id": "parent__id",
        **absent("connection.product_version_type"),
    },
    custom=inside_json(TierConfig, "params", _PARAMS),
)


class _Tiers(NamedTuple):
    tier1: TierAccount | None
    tier2: TierAccount | None


def _tiers(row: TierConfigRequest) -> _Tiers:
    about = row.configuration
    if about.tier_level == 2:
        return _Tiers(None, about.account)
    return _Tiers(about.account, about.parent.account if about.parent else None)


def _parent(row: TierConfigRequest) -> TierConfig | None:
    """Return the configuration above, with relations of the request's that are the same."""
    parent = row.configuration.parent
    for name in ("product", "connection", "contract", "marketplace"):
        if parent is not None:
            setattr(parent, name, getattr(row.configuration, name))
    return parent


class FormLink(TypedDict):
    """Where the reseller answers an inquiry."""

    link: Uri


def _is_unassigned(value: str) -> Q:
    nobody = Q(assignee=None)
    return nobody if value.lower() in ("true", "1", "yes") else ~nobody


def _template(row: TierConfigRequest) -> Template | None:
    """Return the template that the representation of a request shows."""
    config = row.configuration
    return templates.shown(row.status, row.template, config.product, SCOPES[config.tier_level])


REQUEST = Resource(
    "TierConfigRequest",
    "A request to set up or change a reseller's configuration.",
    {
        "id": str,
        "type": Literal["setup", "update", "adjustment"],
        "status": Literal["draft", "tiers_setup", "pending", "inquiring", "approved", "failed"],
        "configuration": Field(CONFIG),
        "params": Field(list[ParameterValue], _params),
        "assignee": Field(replace(NAMED, keys={"id": Field(str, "uid"), "name": str}), empty={}),
        "reason": str,
        "notes": str,
        "environment": Field(Environment, "configuration.connection.type"),
        "tiers": Field(
            Part(
                "ResellerTiers",
                "The reseller, and the one above it.",
                {"tier1": Field(TIER, empty={}), "tier2": Field(TIER, empty={})},
            ),
            _tiers,
        ),
        "events": Part(
            "TierConfigRequestEvents",
            "The moments of a request.",
            {
                "created": Field(HAPPENED),
                "updated": Field(HAPPENED),
                "inquired": Field(HAPPENED, optional=True),
                "pended": Field(HAPPENED, optional=True),
            },
        ),
        "parent_configuration": Field(CONFIG, _parent, optional=True),
        "template": Field(NAMED, _template, optional=True),
        "activation": Field(
            FormLink,
            lambda row: {"link": url} if (url := form_url(row)) else None,
            optional=True,
        ),
        "effective_date": Field(Stamp, optional=True),
        "previous_approved_request": PREVIOUS,
    },
    model=TierConfigRequest,
    search=("id",),
    also={
        "created": "created",
        "updated": "updated",
        "assignee.name": Field(str, "assignee_name"),
        "configuration.account.hub.id": "configuration__account__hub__id",
        "configuration.account.hub.name": "configuration__account__hub__name",
        "parent_configuration.id": "configuration__parent__id",
        "template.id": Field(str, "template_shown"),
        **absent("sli.days", "sli.zone", type=int | None),
    },
    custom=[
        looked_up("unassigned", _is_unassigned),
        *inside_json(TierConfigRequest, "params", _PARAMS),
        *parts("configuration.params"),
        *parts("configuration.product.capabilities", hidden=True),
    ],
)


def text_of_request(row: TierConfigRequest) -> str:
    """Return what the reseller reads of a request: Markdown; empty for a draft or a failed one.

    `configuration.params` are those of the request: the configuration may have newer ones.
    """
    shown = REQUEST.represent(row)
    configuration = {**shown["configuration"], "params": shown["params"]}
    return render(_body(row), {"tier_config_request": shown, "configuration": configuration})


def text_of_config(row: TierConfig) -> str:
    """Return the text of a configuration's last approved request, or else of its open one."""
    approved = row.requests.filter(status="approved").order_by("-effective_date", "-pk")
    about = approved.first() or row.requests.filter(status__in=OPEN).first()
    return render(_body(about), {"configuration": CONFIG.represent(row)}) if about else ""


def _body(row: TierConfigRequest) -> str:
    """Return the template's text in the request's status, as assumed (docs/fidelity.md)."""
    if row.status in ("draft", "failed"):
        return ""
    if row.status == "approved" and row.representation:
        return row.representation
    config = row.configuration
    kind = "fulfillment" if row.status == "approved" else "pending"
    template = _template(row) or templates.default(config.product, SCOPES[config.tier_level], kind)
    return template.body if template else ""


APPROVAL = Part(
    "Approval",
    "What an approval answers.",
    {
        "template": Part(
            "ApprovalTemplate",
            "The text that the reseller gets: Markdown.",
            {
                "representation": Field(str, text_of_request),
                "id": Field(str, "template_id", optional=True),
            },
        ),
        "effective_date": Stamp,
    },
)
