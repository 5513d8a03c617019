"""The rows of the world, and what a test does to change them."""

from __future__ import annotations

import itertools
from typing import Any

from requests_queue.catalog.models import Connection, Item, User
from sandbox.timeline import api_calls, timeline
from sandbox.world import tables
from tests.api import Caller, Response
from tests.make import CONTACT
from tests.orders import PLAIN, SECRET

Rows = dict[str, list[Any]]

_KEPT_OF_USERS = {"password", "last_login"}
_numbers = itertools.count(1)


def contents() -> Rows:
    """Return the rows of each table that a reset replaces, without what it keeps of users."""
    api_calls.flush()
    return {model._meta.label: _rows(model) for model in tables.world_models()}


def _rows(model: Any) -> list[Any]:
    columns = tables.columns_of(model)
    if model is User:
        columns = [name for name in columns if name not in _KEPT_OF_USERS]
    names = {field.column: field.attname for field in model._meta.local_concrete_fields}
    rows = model._base_manager.order_by("pk").values_list(*(names[name] for name in columns))
    if model is User:
        # Keys are kept.
        rows = rows.filter(token=None)
    return [tuple(map(_plain, row)) for row in rows]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def differing(one: Rows, two: Rows) -> dict[str, Any]:
    """Return the tables that differ, with the rows that only one has."""
    return {
        label: (
            [r for r in one[label] if r not in two[label]],
            [r for r in two[label] if r not in one[label]],
        )
        for label in one
        if one[label] != two[label]
    }


def purchase(distributor: Caller, product: str = PLAIN, **asset: Any) -> dict[str, Any]:
    """Order a product and return the request."""
    number = next(_numbers)
    item = Item.objects.filter(product=product).order_by("pk").values_list("pk", flat=True)[0]
    customer = {"name": f"Cafe {number}", "contact_info": CONTACT}
    reseller = {"name": "Portland Resellers", "external_uid": "portland", "contact_info": CONTACT}
    body = {
        "type": "purchase",
        "asset": {
            "connection": {
                "id": Connection.objects.filter(product=product).values_list("pk")[0][0]
            },
            "items": [{"id": item, "quantity": 5}],
            "tiers": {"customer": customer, "tier1": reseller},
            **asset,
        },
    }
    return dict(ok(distributor.post("/requests", body)))


def webhook(vendor: Caller, url: str, product: str = PLAIN, **more: Any) -> dict[str, Any]:
    """Create a webhook and return it."""
    body = {
        "label": "Test",
        "product_id": product,
        "object_class": "fulfillment_request",
        "external_url": url,
        "jwt_secret": SECRET,
        **more,
    }
    return dict(ok(vendor.post("/notifications/webhooks", body)))


def approve(vendor: Caller, request: dict[str, Any]) -> Any:
    """Fill what the vendor has to fill, and approve."""
    params = [{"id": "activation_id", "value": f"A-{next(_numbers)}"}]
    ok(vendor.put(f"/requests/{request['id']}", {"asset": {"params": params}}))
    return ok(vendor.post(f"/requests/{request['id']}/approve", {}))


def reset(caller: Caller, **body: Any) -> dict[str, Any]:
    """Reset the sandbox and return the answer."""
    return dict(ok(caller.post("/sandbox/reset", body)))


def ok(response: Response) -> Any:
    """Return the body of a 2xx."""
    assert response.status < 300, response
    return response.json


def check_failure(before: Rows, vendor: Caller, path: str, status: int, code: str) -> None:
    """Check that a reset or restore fails with a status and a code, and changes nothing."""
    cursor = timeline.now()
    response = vendor.post(path, {"patience": 0})
    assert (response.status, response.json["error_code"]) == (status, code), response
    assert contents() == before
    assert not timeline.between(cursor, timeline.now()).exists()
    # Requests pass again.
    assert vendor.get("/requests").status == 200
