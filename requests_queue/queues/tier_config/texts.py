"""What a reseller reads of a request or a configuration: Markdown, with the object's values.

The `render` calls of Connect's OpenAPI document; which template counts in which status is
assumed (docs/fidelity.md).
"""

from __future__ import annotations

from requests_queue.catalog import templates
from requests_queue.catalog.models import Template
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.rendering import render
from requests_queue.schema import Json


def of_request(request: TierConfigRequest, shown: Json) -> str:
    """Return the text of a request in its shape of the API; nothing for one that failed.

    `configuration.params` are the request's: what the configuration has now may be newer.
    """
    configuration = {**shown["configuration"], "params": shown["params"]}
    return render(_body(request), {"tier_config_request": shown, "configuration": configuration})


def of_config(config: TierConfig, shown: Json) -> str:
    """Return the text of a configuration: what its approval said; before that, that it waits."""
    done = config.requests.filter(status="approved").order_by("-effective_date", "-pk").first()
    row = done or config.requests.filter(status__in=OPEN).first()
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
    """Return the template that a request carries in its status."""
    config = request.configuration
    scope = setup.SCOPES[config.tier_level]
    return templates.shown(request.status, request.template, config.product, scope)
