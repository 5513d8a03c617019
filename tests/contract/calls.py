"""Every operation of ours, called on the demo data: reads by walking, writes from one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from requests_queue.seed.accounts import HUB
from requests_queue.seed.products import BACKUP, SUITE
from tests.api import Answer, Caller
from tests.make import CONTACT

Callers = dict[str, Caller]
VENDOR, DISTRIBUTOR = "vendor", "distributor"

# Details read per list: the lists show every row by the same functions.
DETAILS = 3


@dataclass(frozen=True)
class Call:
    """One write: by whom, with which body, on which object (a query of its list, or a maker)."""

    who: str
    body: Any = None
    on: str | Callable[[Callers], str] = ""


def _order(product: str = BACKUP, **more: Any) -> dict[str, Any]:
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": "CT-2044-1187-9002" if product == BACKUP else "CT-3380-6125-4471"},
            "items": [{"id": f"{product}-0001", "quantity": 5}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
            },
        },
        **more,
    }


def _must(answer: Answer) -> Any:
    assert answer.status in (200, 201), (answer.status, answer.json)
    return answer.json


def _pending(callers: Callers) -> str:
    """Make a pending purchase that may be approved, or inquired."""
    made = _must(callers[DISTRIBUTOR].post("/requests", _order()))
    params = [
        {"id": "activation_id", "value": "NB-1"},
        {"id": "region", "value_error": "Closed for new customers."},
    ]
    _must(callers[VENDOR].put(f"/requests/{made['id']}", {"asset": {"params": params}}))
    return str(made["id"])


def _scheduled(callers: Callers) -> str:
    pk = _pending(callers)
    body = {"planned_date": "2099-01-01T00:00:00Z"}
    _must(callers[VENDOR].post(f"/requests/{pk}/schedule", body))
    return pk


def _revoking(callers: Callers) -> str:
    pk = _scheduled(callers)
    _must(callers[DISTRIBUTOR].post(f"/requests/{pk}/revoke", {"reason": "Not needed."}))
    return pk


def _inquiring(callers: Callers) -> str:
    return str(_must(callers[DISTRIBUTOR].post("/requests", _order(SUITE)))["id"])


def _draft_change(callers: Callers) -> str:
    """Make a draft on a subscription that has no other open request."""
    query = f"/assets?and(eq(status,active),eq(product.id,{SUITE}))"
    for asset in callers[DISTRIBUTOR].get(query).json:
        items = [{"id": asset["items"][0]["global_id"], "quantity": 77}]
        body = {"type": "change", "status": "draft", "asset": {"id": asset["id"], "items": items}}
        made = callers[DISTRIBUTOR].post("/requests", body)
        if made.status == 201:
            return str(made.json["id"])
    raise AssertionError("No subscription of the demo data takes a change.")


def webhook(callers: Callers) -> str:
    """Make a webhook of the vendor."""
    return str(_must(callers[VENDOR].post("/notifications/webhooks", WEBHOOK))["id"])


WEBHOOK = {
    "label": "Nimbus provisioning", "object_class": "fulfillment_request", "product_id": BACKUP,
    "external_url": "https://hooks.example.com/connect", "description": "Wakes the processor",
    "jwt_secret": "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10", "active": True,
    "http_method": "POST", "data": {"tenant": "lab"}, "headers": {"X-Env": "lab"},
}  # fmt: skip

# A write that isn't here fails the test of the contract.
WRITES: dict[tuple[str, str], Call] = {
    ("POST", "/requests"): Call(DISTRIBUTOR, _order(note="Before Monday.")),
    ("PUT", "/requests/{}"): Call(VENDOR, {"note": "Checked."}, "?status=pending"),
    ("POST", "/requests/{}/approve"): Call(VENDOR, None, _pending),
    ("POST", "/requests/{}/fail"): Call(VENDOR, {"reason": "No capacity."}, _pending),
    ("POST", "/requests/{}/inquire"): Call(VENDOR, None, _pending),
    ("POST", "/requests/{}/pend"): Call(VENDOR, None, _inquiring),
    ("POST", "/requests/{}/purchase"): Call(DISTRIBUTOR, None, "?status=draft&type=purchase"),
    ("POST", "/requests/{}/submit"): Call(DISTRIBUTOR, None, _draft_change),
    ("POST", "/requests/{}/schedule"): Call(VENDOR, {"planned_date": "2099-01-01"}, _pending),
    ("POST", "/requests/{}/revoke"): Call(DISTRIBUTOR, {"reason": "Not needed."}, _scheduled),
    ("POST", "/requests/{}/confirm"): Call(VENDOR, None, _revoking),
    ("POST", "/requests/{}/assign"): Call(
        VENDOR, {"email": "maya.ortiz@nimbus.example.com"}, "?status=pending"
    ),
    ("POST", "/requests/{}/unassign"): Call(VENDOR, None, "?status=pending"),
    ("POST", "/notifications/webhooks"): Call(VENDOR, WEBHOOK),
    ("PUT", "/notifications/webhooks/{}"): Call(VENDOR, {"label": "Renamed"}, webhook),
    ("POST", "/notifications/webhooks/{}/trigger"): Call(VENDOR, None, webhook),
    ("DELETE", "/notifications/webhooks/{}"): Call(VENDOR, None, webhook),
    ("POST", "/tier/accounts"): Call(
        DISTRIBUTOR, {"name": "Harbour Cafe", "contact_info": CONTACT, "hub": {"id": HUB}}
    ),
    ("PUT", "/tier/accounts/{}"): Call(DISTRIBUTOR, {"tax_id": "93-5550199"}, "?type=customer"),
    ("DELETE", "/tier/accounts/{}"): Call(DISTRIBUTOR, None, "?type=customer"),
}  # fmt: skip


def write(method: str, path: str, callers: Callers) -> Answer:
    """Make the write of the table, and undo it."""
    call = WRITES[method, path]
    with transaction.atomic():
        pk = call.on(callers) if callable(call.on) else _first(path, call, callers)
        answer = callers[call.who].call(method, path.replace("{}", pk), call.body)
        transaction.set_rollback(True)
    return answer


def _first(path: str, call: Call, callers: Callers) -> str:
    if "{}" not in path:
        return ""
    rows = _must(callers[call.who].get(f"{path.partition('/{}')[0]}{call.on}"))
    return str(rows[0]["id"])


def reads(path: str, caller: Caller, limit: int = DETAILS) -> Iterator[Answer]:
    """Read a path of ours: a list whole, of details the first ones of their list."""
    for full in filled(path, caller, limit):
        yield caller.get(full)


def filled(path: str, caller: Caller, limit: int) -> Iterator[str]:
    """Yield the path with the ids of what is there."""
    if "{}" not in path:
        yield path
        return
    parent, _, rest = path.rpartition("/{}")
    for full in filled(parent, caller, limit):
        for row in _must(caller.get(f"{full}?limit={limit}")):
            yield f"{full}/{row['id']}{rest}"
