"""What a reseller reads of a request or a configuration: Markdown, with the object's values.

The `render` calls of Connect's OpenAPI document; which template counts in which status is
assumed (docs/fidelity.md).
"""

from __future__ import annotations

from requests_queue.catalog.models import Template
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.rendering import render
from requests_queue.rest import Json

_KINDS = {"approved": "fulfillment", "inquiring": "inquire"}


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
    if request.status in _KINDS and request.template is not None:
        return request.template.body
    row = Template.objects.filter(
        product=request.product_id,
        scope=setup.SCOPES[request.configuration.tier_level],
        type=_KINDS.get(request.status, "pending"),
    ).first()
    return row.body if row else ""
