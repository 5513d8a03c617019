"""What the customer reads of a request or a subscription: Markdown, with the object's values.

`GET /requests/{id}/render` and `GET /assets/{id}/render` of Connect's OpenAPI document; which
template counts in which status is assumed (docs/fidelity.md).
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
    """Return the text of a request as it stands; nothing for one that is over without success."""
    shown = representations.request(request)
    if request.status == "approved":
        return str(shown["activation_key"])
    if request.status in _OVER:
        return ""
    if "template" in shown:
        return str(shown["template"]["message"])
    if request.status == "inquiring":
        return str(shown["activation_key"])
    waiting = templates.default(request.asset.product, "asset", "pending")
    return render(waiting.body, representations.values(shown)) if waiting else ""


def of_asset(asset: Asset) -> str:
    """Return the text of a subscription: what its approval said, before that its order's."""
    done = asset.requests.filter(status="approved", type__in=HANDS_OVER).order_by("-pk").first()
    if done is None:
        order = asset.requests.filter(status__in=OPEN).first()
        return of_request(order) if order else ""
    values = {
        "request": representations.request(done),
        "asset": representations.ASSET.represent(asset),
    }
    return render(done.activation_key, values)


def of_template(template: Template, request: Request) -> str:
    """Return the text that a template of the product makes of a request."""
    return render(template.body, representations.values(representations.request(request)))
