"""Texts that a customer reads about a request or a subscription, rendered from templates.

For `GET /requests/{id}/render` and `GET /assets/{id}/render` of Connect's OpenAPI document.
Which template is used in which status is an assumption (docs/fidelity.md).
"""

from __future__ import annotations

from requests_queue.catalog import templates
from requests_queue.catalog.models import Asset, Template
from requests_queue.queues.fulfillment import representations
from requests_queue.queues.fulfillment.effects import HANDS_OVER
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.rendering import render

_OVER = ("failed", "revoked")


def of_request(request: Request) -> str:
    """Return the text of a request in its current status; empty for a failed or revoked one."""
    shown = representations.request(request)
    if request.status == "approved":
        return str(shown["activation_key"])
    if request.status in _OVER:
        return ""
    if "template" in shown:
        return str(shown["template"]["message"])
    if request.status == "inquiring":
        return str(shown["activation_key"])
    template = templates.default(request.asset.product, "asset", "pending")
    return render(template.body, representations.values(shown)) if template else ""


def of_asset(asset: Asset) -> str:
    """Return the text of a subscription's last approved request, or else of its open one."""
    rows = asset.requests.filter(status="approved", type__in=HANDS_OVER)
    approved = rows.order_by("-pk").first()
    if approved is None:
        order = asset.requests.filter(status__in=OPEN).first()
        return of_request(order) if order else ""
    values = {
        "request": representations.request(approved),
        "asset": representations.ASSET.represent(asset),
    }
    return render(approved.activation_key, values)


def of_template(template: Template, request: Request) -> str:
    """Return the text of a request rendered from any template."""
    return render(template.body, representations.values(representations.request(request)))
