"""What a minimal handler does when it is woken: list what is pending, fill in, approve."""

from __future__ import annotations

import threading
from typing import Any

from requests_queue import sample_values
from sandbox.client import Client

# Each approval is a queue change too, so calls overlap, and two that list the same request would
# both approve it.
_one_at_a_time = threading.Lock()


def approve_pending(client: Client, product_id: str) -> list[str]:
    """Approve all pending requests of a product and return their ids; raises ApiError.

    One call of this process at a time.
    """
    with _one_at_a_time:
        return _approve_pending(client, product_id)


def _approve_pending(client: Client, product_id: str) -> list[str]:
    query = f"eq(status,pending)&eq(asset.product.id,{product_id})&ordering(created)"
    # The whole list first: approving while paging would skip some.
    pending = list(client.pages("/public/v1/requests", query))
    for request in pending:
        path = f"/public/v1/requests/{request['id']}"
        if params := _missing(request):
            client.call("PUT", path, {"asset": {"params": params}})
        client.call("POST", f"{path}/approve", _template(client, product_id))
    return [request["id"] for request in pending]


def _missing(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return values for the fulfillment parameters that an approval needs."""
    return [
        sample_values.fill(param, f"activated-{request['id']}")
        for param in request["asset"]["params"]
        if param["phase"] == "fulfillment"
        and param["constraints"].get("required")
        and not param["value"]
        and not param.get("structured_value")
    ]


def _template(client: Client, product_id: str) -> dict[str, str]:
    path = f"/public/v1/products/{product_id}/templates?scope=asset&type=fulfillment&limit=1"
    found = client.call("GET", path)
    return {"template_id": found[0]["id"]} if found else {"activation_tile": "Activated."}
