"""Texts that a reseller reads about a request or a configuration, rendered from templates.

For the `render` endpoints of Connect's OpenAPI document. Which template is used in which status
is an assumption (docs/fidelity.md).
"""

from __future__ import annotations

from requests_queue.catalog import templates
from requests_queue.catalog.models import Template
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.rendering import render
from requests_queue.schema import Json


def of_request(request: TierConfigRequest, shown: Json) -> str:
    """Return the text of a request, given its representation; empty for a failed one.

    `configuration.params` are those of the request: the configuration may have newer ones.
    """
    configuration = {**shown["configuration"], "params": shown["params"]}
    return render(_body(request), {"tier_config_request": shown, "configuration": configuration})


def of_config(config: TierConfig, shown: Json) -> str:
    """Return the text of a configuration's last approved request, or else of its open one."""
    approved = config.requests.filter(status="approved").order_by("-effective_date", "-pk")
    row = approved.first() or config.requests.filter(status__in=OPEN).first()
    return render(_body(row), {"configuration": shown}) if row else ""


def _body(request: TierConfigRequest) -> str:
    if request.status == "failed":
        return ""
    if request.status == "approved" and request.representation:
        return request.representation
    config = request.configuration
    scope = setup.SCOPES[config.tier_level]
    kind = "fulfillment" if request.status == "approved" else "pending"
    row = template_of(request) or templates.default(config.product, scope, kind)
    return row.body if row else ""


def template_of(request: TierConfigRequest) -> Template | None:
    """Return the template that the representation of a request shows."""
    config = request.configuration
    scope = setup.SCOPES[config.tier_level]
    return templates.shown(request.status, request.template, config.product, scope)
