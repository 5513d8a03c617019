"""Every operation on the demo data: reads by following lists, writes from one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from extensions.models import FAILED, Environment, Extension, Task
from requests_queue import clock
from requests_queue.catalog.models import Account, Contract
from requests_queue.seed.accounts import CONTRACT, DISTRIBUTOR_USER, HUB, MARKETPLACE
from requests_queue.seed.accounts import PROVIDER as DISTRIBUTOR_ACCOUNT
from requests_queue.seed.accounts import VENDOR as ACCOUNT
from requests_queue.seed.customers import CASCADE
from requests_queue.seed.products import BACKUP, SUITE
from tests.api import Caller, Response
from tests.make import CONTACT
from tests.queue.platforms import undone

Callers = dict[str, Caller]
VENDOR, DISTRIBUTOR = "vendor", "distributor"

# Number of details read per list; lists show all rows by the same functions.
DETAILS = 3


@dataclass(frozen=True)
class Call:
    """One write: caller, body, and object (a query of its list, or a function that creates it)."""

    party: str
    body: Any = None
    on: str | Callable[[Callers], str] = ""
    headers: dict[str, str] | None = None


def order(product: str = BACKUP, **more: Any) -> dict[str, Any]:
    """Return the body of a purchase."""
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


def _must(response: Response) -> Any:
    assert response.status in (200, 201), (response.status, response.json)
    return response.json


def pending(callers: Callers) -> str:
    """Create a pending purchase that can be approved or inquired."""
    created = _must(callers[DISTRIBUTOR].post("/requests", order()))
    params = [
        {"id": "activation_id", "value": "NB-1"},
        {"id": "region", "value_error": "Closed for new customers."},
    ]
    _must(callers[VENDOR].put(f"/requests/{created['id']}", {"asset": {"params": params}}))
    return str(created["id"])


def _scheduled(callers: Callers) -> str:
    pk = pending(callers)
    body = {"planned_date": "2099-01-01T00:00:00Z"}
    _must(callers[VENDOR].post(f"/requests/{pk}/schedule", body))
    return pk


def _revoking(callers: Callers) -> str:
    pk = _scheduled(callers)
    _must(callers[DISTRIBUTOR].post(f"/requests/{pk}/revoke", {"reason": "Not needed."}))
    return pk


def _inquiring(callers: Callers) -> str:
    """Create an inquiring purchase of a configured reseller."""
    body = order(SUITE)
    body["asset"]["tiers"]["tier1"] = {"id": CASCADE}
    return str(_must(callers[DISTRIBUTOR].post("/requests", body))["id"])


def _tier_setup(*params: dict[str, str]) -> dict[str, Any]:
    account = {"name": "Portland Resellers", "contact_info": CONTACT}
    configuration = {"product": {"id": SUITE}, "account": account, "tier_level": 1}
    return {"type": "setup", "configuration": configuration, "params": [*params]}


def tier_request(callers: Callers) -> str:
    """Create a pending tier configuration request that can be approved or inquired."""
    body = _tier_setup({"id": "partner_agreement", "value": "NSS-1-0200"})
    pk = str(_must(callers[DISTRIBUTOR].post("/tier/config-requests", body))["id"])
    params = [
        {"id": "partner_tenant", "value": "pt-0200"},
        {"id": "partner_agreement", "value_error": "This number is incomplete."},
    ]
    _must(callers[VENDOR].put(f"/tier/config-requests/{pk}", {"params": params}))
    return pk


def _draft_change(callers: Callers) -> str:
    """Create a draft for a subscription without another open request."""
    query = f"/assets?and(eq(status,active),eq(product.id,{SUITE}))"
    for asset in callers[DISTRIBUTOR].get(query).json:
        items = [{"id": asset["items"][0]["global_id"], "quantity": 77}]
        body = {"type": "change", "status": "draft", "asset": {"id": asset["id"], "items": items}}
        created = callers[DISTRIBUTOR].post("/requests", body)
        if created.status == 201:
            return str(created.json["id"])
    raise AssertionError("No subscription of the demo data takes a change.")


def _listing_request(*moves: str) -> Callable[[Callers], str]:
    """Return a function that creates a listing request and runs the actions."""

    def make(callers: Callers) -> str:
        body = {"type": "update", "listing_id": "LST-731-204-558"}
        pk = str(_must(callers[VENDOR].post("/listing-requests", body))["id"])
        for name in moves:
            party = VENDOR if name == "submit" else DISTRIBUTOR
            _must(callers[party].post(f"/listing-requests/{pk}/{name}"))
        return pk

    return make


CASE = {
    "type": "technical",
    "subject": "Sign-in fails",
    "description": "Since this morning.",
    "priority": 3,
    "product": {"id": BACKUP},
    "receiver": {"account": {"id": ACCOUNT}},
    "issuer": {"agent": {"id": DISTRIBUTOR_USER}, "recipients": [{"id": DISTRIBUTOR_USER}]},
}


def _case(*moves: str) -> Callable[[Callers], str]:
    """Return a function that creates a case of the distributor and runs the vendor's actions."""

    def make(callers: Callers) -> str:
        pk = str(_must(callers[DISTRIBUTOR].post("/helpdesk/cases", CASE))["id"])
        for name in moves:
            _must(callers[VENDOR].post(f"/helpdesk/cases/{pk}/{name}"))
        return pk

    return make


def _attachment(callers: Callers) -> str:
    """Create an attachment, and return the ids of case and attachment."""
    pk = _case()(callers)
    path, (content, headers) = f"/helpdesk/cases/{pk}/attachments", form("file")
    created = _must(callers[DISTRIBUTOR].call("POST", path, content, headers))
    return f"{pk} {created['id']}"


def _own_message(callers: Callers) -> str:
    """Create a message, and return the ids of conversation and message."""
    pk = _must(callers[VENDOR].get("/conversations?status=open"))[0]["id"]
    created = _must(
        callers[VENDOR].post(f"/conversations/{pk}/messages", {"text": "Working on it."})
    )
    return f"{pk} {created['id']}"


def form(field: str) -> tuple[bytes, dict[str, str]]:
    """Return a multipart body with a spreadsheet, and its header."""
    text = "record_id,status\n2026-01-AS,open\n" if field == "usage_file" else _billed()
    body = (
        f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="usage.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text}\r\n--B--\r\n"
    )
    return body.encode(), {"Content-Type": "multipart/form-data; boundary=B"}


MULTIPART = {"Content-Type": "multipart/form-data; boundary=B"}


def media(picture: bytes = b"\x89PNG\r\n\x1a\n", **fields: str) -> bytes:
    """Return a multipart body of a picture, as connect-cli sends it: fields in a part `body`."""
    content = json.dumps({"type": "image", **fields})
    parts = (
        f'--B\r\nContent-Disposition: form-data; name="body"\r\n'
        f"Content-Type: application/json\r\n\r\n{content}\r\n"
        f'--B\r\nContent-Disposition: form-data; name="thumbnail"; filename="a.png"\r\n'
        f"Content-Type: image/png\r\n\r\n"
    )
    return parts.encode() + picture + b"\r\n--B--\r\n"


def _billed() -> str:
    return "record_id,external_billing_id\nUR-2026-01-3391-0002-0000-0002,INV-1\n"


def webhook(callers: Callers) -> str:
    """Create a webhook of the vendor."""
    return str(_must(callers[VENDOR].post("/notifications/webhooks", WEBHOOK))["id"])


def extension(callers: Callers, party: str = VENDOR) -> str:
    """Create an extension with a variable and a schedule, and return the ids of its paths."""
    who = callers[party]
    service = _must(who.post("/devops/services", {"name": "Automation", "type": "multiaccount"}))
    ids = f"{service['id']} {service['environments']['development']['id']}"
    for kind, body in (("variables", _VARIABLE), ("schedules", _SCHEDULE)):
        _must(who.post(at(f"{_ENVIRONMENT}/{kind}", ids), body))
    return ids


def _of_extension(kind: str) -> Callable[[Callers], str]:
    """Return a function that creates an extension, and returns the path of a part of it."""

    def make(callers: Callers) -> str:
        ids = extension(callers)
        path = at(f"{_ENVIRONMENT}/schedules", ids)
        if kind == "tasks":
            schedule = _must(callers[VENDOR].get(path))[0]["id"]
            _must(callers[VENDOR].post(f"{path}/{schedule}/trigger"))
            Task.objects.update(status=FAILED)
        row = _must(callers[VENDOR].get(at(f"{_ENVIRONMENT}/{kind}", ids)))[0]
        return f"{ids} {row['id']}"

    return make


def _installation(callers: Callers) -> str:
    service, _, _ = extension(callers).partition(" ")
    own = {row["id"] for row in _must(callers[VENDOR].get("/devops/installations"))}
    # It is installed for the other accounts, too.
    rows = _must(callers[VENDOR].get(f"/devops/services/{service}/installations"))
    return f"{service} {next(row['id'] for row in rows if row['id'] in own)}"


def _not_installed(callers: Callers) -> str:
    """Create the environment FOR_ALL of the vendor's, which nobody has installed."""
    service = Extension.objects.create(
        id="SRVC-0000-0001", type="multiaccount", account_id=ACCOUNT, created_at=clock.now()
    )
    Environment.objects.create(id=FOR_ALL, extension=service)
    return ""


FOR_ALL = "ENV-0000-0001-01"
_ENVIRONMENT = "/devops/services/{}/environments/{}"
_VARIABLE = {"name": "TOKEN", "value": "value-of-a-variable", "secure": True}
_SCHEDULE = {
    "name": "Nightly", "method": "run", "parameter": {"a": 1},
    "trigger": {"type": "recurring", "start": "2099-01-01T00:00:00Z", "unit": "days", "amount": 1},
}  # fmt: skip
WEBHOOK = {
    "label": "Nimbus provisioning", "object_class": "fulfillment_request", "product_id": BACKUP,
    "external_url": "https://hooks.example.com/connect", "description": "Wakes the processor",
    "jwt_secret": "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10", "active": True,
    "http_method": "POST", "data": {"tenant": "lab"}, "headers": {"X-Env": "lab"},
}  # fmt: skip

BILL = {
    "type": "provider", "asset": {"id": "AS-5810-2277-4093"}, "items": [{"id": "SKU_SEAT"}],
    "period": {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01", "delta": 1, "uom": "monthly"},
}  # fmt: skip

_USAGE_FILE = {
    "name": "May", "product": {"id": SUITE}, "contract": {"id": CONTRACT},
    "period": {"from": "2026-05-01", "to": "2026-05-31T23:59:59Z"}, "external_id": "desk-may",
}  # fmt: skip
_ACCEPTED_RECORD = "?status=approved&usagefile.status=accepted"

_NEW_ITEM = {
    "name": "Archive", "mpn": "NB-ARCHIVE", "description": "Copies kept for years.",
    "type": "reservation", "period": "monthly", "precision": "integer", "unit": {"id": "gb"},
    "commitment": {"count": 12}, "ui": {"visibility": True},
}  # fmt: skip
_NEW_PARAMETER = {
    "name": "tape", "title": "Tape", "description": "Which tape.", "type": "dropdown",
    "scope": "asset", "phase": "ordering",
    "constraints": {"required": True, "choices": [{"value": "a", "label": "A", "default": True}]},
}  # fmt: skip
_NEW_ACTION = {
    "action": "sign_in", "name": "Sign in", "title": "Sign in", "type": "button",
    "scope": "asset", "description": "Opens the console.",
}  # fmt: skip


def _draft(callers: Callers) -> str:
    body = {"name": "Nimbus Archive", "external_id": "nimbus-archive"}
    return str(_must(callers[VENDOR].post("/products", body))["id"])


def _off_sale(callers: Callers) -> str:
    _must(callers[VENDOR].post(f"/products/{BACKUP}/endsale"))
    return BACKUP


def _part(kind: str, body: Any) -> Callable[[Callers], str]:
    """Return a function that creates a part of a product."""

    def make(callers: Callers) -> str:
        created = _must(callers[VENDOR].post(f"/products/{BACKUP}/{kind}", body))
        return f"{BACKUP} {created['id']}"

    return make


def _item_off_sale(callers: Callers) -> str:
    pk = f"{BACKUP}-0001"
    assert callers[VENDOR].post(f"/products/{BACKUP}/items/{pk}/endsale").status == 200
    return f"{BACKUP} {pk}"


def _contract(status: str) -> Callable[[Callers], str]:
    """Return a function that creates a contract in a status that the demo data lack."""

    def make(callers: Callers) -> str:
        Contract.objects.filter(pk=CONTRACT).update(status=status)
        return CONTRACT

    return make


def _hub(callers: Callers) -> str:
    return str(_must(callers[DISTRIBUTOR].post("/hubs", _NEW_HUB))["id"])


def _marketplace(callers: Callers) -> str:
    return str(_must(callers[DISTRIBUTOR].post("/marketplaces", _NEW_MARKETPLACE))["id"])


def _program(callers: Callers) -> str:
    return str(_must(callers[DISTRIBUTOR].post("/agreements", _NEW_PROGRAM))["id"])


def _partner(callers: Callers) -> str:
    """Create a pending contract of a program, whose id is the code."""
    now = clock.now()
    vendor = Account.objects.create(id="VA-731-900-244", name="New", type="vendor", created=now)
    Contract.objects.create(
        id=_PROGRAM,
        type="program",
        status="pending",
        vendor=vendor,
        provider_id=DISTRIBUTOR_ACCOUNT,
        program_id=_program(callers),
        created=now,
    )
    return ""


_PROGRAM = "CRP-41020-88713-20955"
_NEW_CONTRACT = {"partner": {"name": "Cirrus"}, "activation": {"message": "Welcome."}}
_NEW_MARKETPLACE = {
    "name": "Northland Germany", "description": "Sells in Germany.", "currency": "EUR",
    "zone": "EU", "countries": [{"id": "DE"}],
    "hubs": [{"hub": {"id": HUB}, "external_id": "de-1"}],
}  # fmt: skip
_NEW_PROGRAM = {"title": "Program", "description": "For all.", "type": "program"}
_NEW_HUB = {
    "name": "Northland Shop", "description": "Sells to resellers.", "instance_id": "shop-1",
    "instance_type": "api",
}  # fmt: skip
_TEMPLATE = {"name": "Ready", "scope": "asset", "type": "fulfillment", "body": "# Ready"}

# A write without an entry fails the test of the contract.
WRITES: dict[tuple[str, str], Call] = {
    ("POST", "/products"): Call(VENDOR, {"name": "Nimbus Archive", "external_id": "archive"}),
    ("PUT", "/products/{}"): Call(
        VENDOR, {"capabilities": {"ppu": {"schema": "TR"}, "tiers": {"configs": {"level": 1}}}},
        lambda callers: BACKUP,
    ),
    ("DELETE", "/products/{}"): Call(VENDOR, None, _draft),
    ("POST", "/products/{}/endsale"): Call(
        VENDOR, {"replacement": {"id": SUITE}}, lambda callers: BACKUP
    ),
    ("POST", "/products/{}/resumesale"): Call(VENDOR, None, _off_sale),
    ("POST", "/products/{}/items"): Call(VENDOR, _NEW_ITEM, lambda callers: BACKUP),
    ("PUT", "/products/{}/items/{}"): Call(
        VENDOR, {"description": "Kept."}, _part("items", _NEW_ITEM)
    ),
    ("DELETE", "/products/{}/items/{}"): Call(VENDOR, None, _part("items", _NEW_ITEM)),
    ("POST", "/products/{}/items/{}/endsale"): Call(
        VENDOR, {"end_of_sale_notes": "Gone."}, lambda callers: f"{BACKUP} {BACKUP}-0001"
    ),
    ("POST", "/products/{}/items/{}/resumesale"): Call(VENDOR, None, _item_off_sale),
    ("POST", "/products/{}/parameters"): Call(VENDOR, _NEW_PARAMETER, lambda callers: BACKUP),
    ("PUT", "/products/{}/parameters/{}"): Call(
        VENDOR, {"hint": "On the label."}, _part("parameters", _NEW_PARAMETER)
    ),
    ("DELETE", "/products/{}/parameters/{}"): Call(
        VENDOR, None, _part("parameters", _NEW_PARAMETER)
    ),
    ("POST", "/products/{}/templates"): Call(VENDOR, _TEMPLATE, lambda callers: BACKUP),
    ("PUT", "/products/{}/templates/{}"): Call(
        VENDOR, {"body": "# Done"}, _part("templates", _TEMPLATE)
    ),
    ("DELETE", "/products/{}/templates/{}"): Call(VENDOR, None, _part("templates", _TEMPLATE)),
    ("POST", "/products/{}/actions"): Call(VENDOR, _NEW_ACTION, lambda callers: BACKUP),
    ("PUT", "/products/{}/actions/{}"): Call(
        VENDOR, {"title": "Console"}, _part("actions", _NEW_ACTION)
    ),
    ("DELETE", "/products/{}/actions/{}"): Call(VENDOR, None, _part("actions", _NEW_ACTION)),
    ("POST", "/products/{}/actions/regeneratesecret"): Call(VENDOR, None, lambda callers: BACKUP),
    ("POST", "/products/{}/media"): Call(
        VENDOR, media(position="3"), lambda callers: SUITE, MULTIPART
    ),
    ("PUT", "/products/{}/media/{}"): Call(
        VENDOR, {"type": "image"}, lambda callers: f"{SUITE} PRDM-362-917-440-10002"
    ),
    ("DELETE", "/products/{}/media/{}"): Call(
        VENDOR, None, lambda callers: f"{SUITE} PRDM-362-917-440-10002"
    ),
    ("POST", "/products/{}/versions"): Call(
        VENDOR, {"changes_description": "New texts.", "public": True}, lambda callers: BACKUP
    ),
    ("PUT", "/products/{}/versions/{}"): Call(
        VENDOR, {"public": False, "staging": True}, lambda callers: f"{BACKUP} 2"
    ),
    ("POST", "/products/{}/versions/{}/build"): Call(VENDOR, None, lambda callers: f"{BACKUP} 2"),
    ("POST", "/products/{}/configurations"): Call(
        VENDOR, {"parameter": {"id": "api_endpoint"}, "value": "https://api.example.com"},
        lambda callers: SUITE,
    ),
    ("POST", "/products/{}/connections"): Call(
        VENDOR, {"type": "production", "hub": {"id": HUB}}, lambda callers: BACKUP
    ),
    ("PUT", "/products/{}/connections/{}"): Call(
        VENDOR, {"type": "production"}, lambda callers: f"{BACKUP} CT-2044-1187-9002"
    ),
    ("POST", "/hubs"): Call(DISTRIBUTOR, _NEW_HUB),
    ("PUT", "/hubs/{}"): Call(DISTRIBUTOR, {"description": "Sells."}, _hub),
    ("DELETE", "/hubs/{}"): Call(DISTRIBUTOR, None, _hub),
    ("POST", "/marketplaces"): Call(DISTRIBUTOR, _NEW_MARKETPLACE),
    ("PUT", "/marketplaces/{}"): Call(DISTRIBUTOR, {"description": "Sells."}, _marketplace),
    ("DELETE", "/marketplaces/{}"): Call(DISTRIBUTOR, None, _marketplace),
    ("POST", "/agreements"): Call(DISTRIBUTOR, _NEW_PROGRAM),
    ("POST", "/agreements/{}/agreements"): Call(
        DISTRIBUTOR, {"title": "Distribution", "marketplace": {"id": MARKETPLACE}}, _program
    ),
    ("POST", "/agreements/{}/contracts"): Call(DISTRIBUTOR, _NEW_CONTRACT, _program),
    ("POST", "/accounts"): Call(DISTRIBUTOR, {"name": "Cirrus", "code": _PROGRAM}, _partner),
    ("POST", "/auth/context"): Call(VENDOR, {"account": {"id": ACCOUNT}}),
    ("POST", "/auth/tokens"): Call(VENDOR, {"name": "New", "extension": {"id": "EXT-000"}}),
    ("POST", "/contracts/{}/enroll"): Call(VENDOR, None, _contract("enrolling")),
    ("POST", "/contracts/{}/sign"): Call(DISTRIBUTOR, None, _contract("pending")),
    ("POST", "/contracts/{}/reject"): Call(DISTRIBUTOR, None, _contract("pending")),
    ("POST", "/contracts/{}/refine"): Call(DISTRIBUTOR, None, _contract("pending")),
    ("POST", "/contracts/{}/terminate"): Call(DISTRIBUTOR, None, _contract("active")),
    ("POST", "/requests"): Call(DISTRIBUTOR, order(note="Before Monday.")),
    ("PUT", "/requests/{}"): Call(VENDOR, {"note": "Checked."}, "?status=pending"),
    ("POST", "/requests/{}/approve"): Call(VENDOR, None, pending),
    ("POST", "/requests/{}/fail"): Call(VENDOR, {"reason": "No capacity."}, pending),
    ("POST", "/requests/{}/inquire"): Call(VENDOR, None, pending),
    ("POST", "/requests/{}/pend"): Call(VENDOR, None, _inquiring),
    ("POST", "/requests/{}/purchase"): Call(DISTRIBUTOR, None, "?status=draft&type=purchase"),
    ("POST", "/requests/{}/submit"): Call(DISTRIBUTOR, None, _draft_change),
    ("POST", "/requests/{}/validate"): Call(
        DISTRIBUTOR, {"asset": {"params": [{"id": "data_region", "value": "us"}]}},
        "?status=draft&type=purchase",
    ),
    ("POST", "/requests/{}/schedule"): Call(VENDOR, {"planned_date": "2099-01-01"}, pending),
    ("POST", "/requests/{}/revoke"): Call(DISTRIBUTOR, {"reason": "Not needed."}, _scheduled),
    ("POST", "/requests/{}/confirm"): Call(VENDOR, None, _revoking),
    ("POST", "/requests/{}/assign"): Call(
        VENDOR, {"email": "maya.ortiz@nimbus.example.com"}, "?status=pending"
    ),
    ("POST", "/requests/{}/assign/{}"): Call(
        VENDOR, None, lambda callers: f"{pending(callers)} UR-426-913-070"
    ),
    ("POST", "/requests/{}/unassign"): Call(VENDOR, None, "?status=pending"),
    ("POST", "/notifications/webhooks"): Call(VENDOR, WEBHOOK),
    ("PUT", "/notifications/webhooks/{}"): Call(VENDOR, {"label": "Renamed"}, webhook),
    ("POST", "/notifications/webhooks/{}/trigger"): Call(VENDOR, None, webhook),
    ("DELETE", "/notifications/webhooks/{}"): Call(VENDOR, None, webhook),
    ("POST", "/devops/services"): Call(VENDOR, {"name": "New", "products": [{"id": BACKUP}]}),
    ("PUT", "/devops/services/{}/environments/{}"): Call(
        VENDOR, {"error_output": "Traceback"}, extension
    ),
    ("POST", f"{_ENVIRONMENT}/variables"): Call(VENDOR, {"name": "URL", "value": ""}, extension),
    ("PUT", f"{_ENVIRONMENT}/variables/{{}}"): Call(
        VENDOR, {"value": "another-value"}, _of_extension("variables")
    ),
    ("DELETE", f"{_ENVIRONMENT}/variables/{{}}"): Call(VENDOR, None, _of_extension("variables")),
    ("POST", f"{_ENVIRONMENT}/schedules"): Call(VENDOR, _SCHEDULE, extension),
    ("PUT", f"{_ENVIRONMENT}/schedules/{{}}"): Call(
        VENDOR, {"description": "Each night."}, _of_extension("schedules")
    ),
    ("DELETE", f"{_ENVIRONMENT}/schedules/{{}}"): Call(VENDOR, None, _of_extension("schedules")),
    **{
        ("POST", f"{_ENVIRONMENT}/schedules/{{}}/{name}"): Call(
            VENDOR, None, _of_extension("schedules")
        )
        for name in ("enable", "disable", "trigger")
    },
    ("POST", f"{_ENVIRONMENT}/tasks/{{}}/resubmit"): Call(VENDOR, None, _of_extension("tasks")),
    ("POST", "/devops/installations"): Call(
        DISTRIBUTOR, {"environment": {"id": FOR_ALL}, "settings": {"a": 1}}, _not_installed
    ),
    ("PUT", "/devops/installations/{}"): Call(
        VENDOR, {"settings": {"a": 1}}, lambda callers: _installation(callers).split()[1]
    ),
    ("POST", "/devops/installations/{}/uninstall"): Call(
        VENDOR, None, lambda callers: _installation(callers).split()[1]
    ),
    ("POST", "/devops/services/{}/installations/{}/impersonate"): Call(
        VENDOR, None, _installation
    ),
    ("POST", "/tier/config-requests"): Call(DISTRIBUTOR, _tier_setup()),
    ("PUT", "/tier/config-requests/{}"): Call(VENDOR, {"notes": "Checked."}, "?status=pending"),
    ("POST", "/tier/config-requests/{}/approve"): Call(VENDOR, None, tier_request),
    ("POST", "/tier/config-requests/{}/fail"): Call(
        VENDOR, {"reason": "No agreement."}, tier_request
    ),
    ("POST", "/tier/config-requests/{}/inquire"): Call(VENDOR, None, tier_request),
    ("POST", "/tier/config-requests/{}/pend"): Call(VENDOR, None, "?status=inquiring"),
    ("POST", "/tier/config-requests/{}/submit"): Call(DISTRIBUTOR, None, "?status=draft"),
    ("POST", "/tier/config-requests/{}/validate"): Call(
        DISTRIBUTOR, {"params": [{"id": "partner_agreement", "value": "NSS-1-0300"}]},
        "?status=draft",
    ),
    ("POST", "/tier/config-requests/{}/assign"): Call(
        VENDOR, {"email": "maya.ortiz@nimbus.example.com"}, "?status=pending"
    ),
    ("POST", "/tier/config-requests/{}/unassign"): Call(VENDOR, None, "?status=pending"),
    ("POST", "/tier/accounts"): Call(
        DISTRIBUTOR, {"name": "Harbour Cafe", "contact_info": CONTACT, "hub": {"id": HUB}}
    ),
    ("PUT", "/tier/accounts/{}"): Call(DISTRIBUTOR, {"tax_id": "93-5550199"}, "?type=customer"),
    ("DELETE", "/tier/accounts/{}"): Call(DISTRIBUTOR, None, "?type=customer"),
    ("POST", "/tier/account-requests"): Call(
        DISTRIBUTOR,
        {"type": "update", "account": {"id": "TA-0418-2290-3310", "tax_id": "93-5550146"}},
    ),
    ("POST", "/tier/account-requests/{}/accept"): Call(VENDOR, None, "?status=pending"),
    ("POST", "/tier/account-requests/{}/ignore"): Call(
        VENDOR, {"reason": "Not kept."}, "?status=pending"
    ),
    ("POST", "/subscriptions/requests"): Call(DISTRIBUTOR, BILL),
    ("PUT", "/subscriptions/requests/{}"): Call(
        VENDOR, {"attributes": {"vendor": {"invoice": "NB-3"}}}, "?type=vendor"
    ),
    ("PUT", "/subscriptions/requests/{}/attributes"): Call(
        VENDOR, {"vendor": {"invoice": "NB-2"}}, "?type=vendor"
    ),
    ("POST", "/listing-requests"): Call(
        VENDOR, {"type": "remove", "listing_id": "LST-731-204-558", "note": "Replaced."}
    ),
    ("DELETE", "/listing-requests/{}"): Call(VENDOR, None, "?state=draft"),
    ("POST", "/listing-requests/{}/submit"): Call(VENDOR, None, "?state=draft"),
    ("POST", "/listing-requests/{}/refine"): Call(DISTRIBUTOR, None, _listing_request("submit")),
    ("POST", "/listing-requests/{}/deploy"): Call(DISTRIBUTOR, None, _listing_request("submit")),
    ("POST", "/listing-requests/{}/complete"): Call(
        DISTRIBUTOR, None, _listing_request("submit", "deploy")
    ),
    ("POST", "/listing-requests/{}/cancel"): Call(DISTRIBUTOR, None, _listing_request("submit")),
    ("POST", "/listing-requests/{}/assign"): Call(DISTRIBUTOR, None, "?state=reviewing"),
    ("POST", "/listing-requests/{}/unassign"): Call(DISTRIBUTOR, None, "?state=deploying"),
    ("PUT", "/listings/{}"): Call(DISTRIBUTOR, {"status": "unlisted"}, "?status=listed"),
    ("POST", "/usage/files"): Call(VENDOR, _USAGE_FILE),
    ("PUT", "/usage/files/{}"): Call(VENDOR, {"note": "Checked."}, "?status=ready"),
    ("POST", "/usage/files/{}/upload"): Call(
        VENDOR, form("usage_file")[0], "?status=draft", form("usage_file")[1]
    ),
    ("POST", "/usage/files/{}/submit"): Call(VENDOR, None, "?status=ready"),
    ("POST", "/usage/files/{}/accept"): Call(
        DISTRIBUTOR, {"acceptance_note": "Billed."}, "?status=pending"
    ),
    ("POST", "/usage/files/{}/reject"): Call(
        DISTRIBUTOR, {"rejection_note": "Counted twice."}, "?status=pending"
    ),
    # connect-sdk 22 sends `null`.
    ("POST", "/usage/files/{}/close"): Call(DISTRIBUTOR, "null", "?status=accepted"),
    ("POST", "/usage/files/{}/delete"): Call(VENDOR, "null", "?status=draft"),
    ("POST", "/usage/files/{}/reprocess"): Call(DISTRIBUTOR, None, "?status=accepted"),
    ("POST", "/usage/files/{}/reconciliation"): Call(
        DISTRIBUTOR, form("recon_file")[0], "?status=accepted", form("recon_file")[1]
    ),
    ("PUT", "/usage/files/{}/approve-all"): Call(DISTRIBUTOR, None, "?status=pending"),
    ("POST", "/usage/files/{}/approve-all"): Call(DISTRIBUTOR, None, "?status=pending"),
    ("PUT", "/usage/chunks/{}"): Call(DISTRIBUTOR, {"external_id": "desk-1"}, "?status=ready"),
    ("POST", "/usage/chunks/{}/close"): Call(
        DISTRIBUTOR, {"external_billing_id": "INV-9", "external_billing_note": ""}, "?status=ready"
    ),
    ("POST", "/usage/chunks/{}/regenerate"): Call(DISTRIBUTOR, None, "?status=ready"),
    ("POST", "/usage/reconciliations"): Call(
        DISTRIBUTOR, form("recon_file")[0], "", form("recon_file")[1]
    ),
    ("PUT", "/usage/records/{}"): Call(DISTRIBUTOR, {"status": "rejected"}, _ACCEPTED_RECORD),
    ("POST", "/usage/records/{}/close"): Call(
        DISTRIBUTOR, {"external_billing_id": "INV-7"}, _ACCEPTED_RECORD
    ),
    ("POST", "/usage/records/close-records"): Call(
        DISTRIBUTOR, [{"id": "UR-2026-01-3391-0002-0000-0002"}, {"id": "UR-0"}]
    ),
    ("POST", "/helpdesk/cases"): Call(DISTRIBUTOR, CASE),
    ("PUT", "/helpdesk/cases/{}"): Call(DISTRIBUTOR, CASE, _case()),
    ("POST", "/helpdesk/cases/{}/inquire"): Call(VENDOR, None, _case()),
    ("POST", "/helpdesk/cases/{}/pend"): Call(DISTRIBUTOR, None, _case("inquire")),
    ("POST", "/helpdesk/cases/{}/resolve"): Call(VENDOR, None, _case()),
    ("POST", "/helpdesk/cases/{}/close"): Call(
        DISTRIBUTOR, {"rating": 4, "feedback": "Thank you."}, _case("resolve")
    ),
    ("POST", "/helpdesk/cases/{}/attachments"): Call(
        VENDOR, form("file")[0], _case(), form("file")[1]
    ),
    ("DELETE", "/helpdesk/cases/{}/attachments/{}"): Call(DISTRIBUTOR, None, _attachment),
    # A draft has no conversation yet.
    ("POST", "/conversations"): Call(
        DISTRIBUTOR, {"instance_id": "PR-2934-6610-1185-001", "topic": "Prices"}
    ),
    ("POST", "/conversations/{}/close"): Call(VENDOR, None, "?status=open"),
    ("POST", "/conversations/{}/messages"): Call(
        VENDOR, {"text": "Only we read this.", "type": "private"}, "?status=open"
    ),
    ("PUT", "/conversations/{}/messages/{}"): Call(VENDOR, {"text": "Done."}, _own_message),
}  # fmt: skip


def extension_with_tasks(callers: Callers, party: str = VENDOR, count: int = 1) -> None:
    """Create an extension of whose variables, schedules and tasks there are some."""
    who, path = callers[party], at(_ENVIRONMENT, extension(callers, party))
    for n in range(1, count):
        _must(who.post(f"{path}/variables", {"name": f"V{n}", "value": ""}))
        _must(who.post(f"{path}/schedules", _SCHEDULE))
    for row in _must(who.get(f"{path}/schedules")):
        _must(who.post(f"{path}/schedules/{row['id']}/trigger"))


def write(method: str, path: str, callers: Callers) -> Response:
    """Run the write of the table, and roll it back."""
    with ready(path, WRITES[method, path], callers) as full:
        call = WRITES[method, path]
        return callers[call.party].call(method, full, call.body, call.headers)


@contextmanager
def ready(path: str, call: Call, callers: Callers) -> Iterator[str]:
    """Create the object of the call, yield its path, and roll everything back."""
    with undone():
        yield at(path, call.on(callers) if callable(call.on) else _first(path, call, callers))


def at(path: str, ids: str) -> str:
    """Return the path with the ids (separated by spaces) in order."""
    for each in ids.split():
        path = path.replace("{}", each, 1)
    return path


def _first(path: str, call: Call, callers: Callers) -> str:
    if "{}" not in path:
        return ""
    rows = _must(callers[call.party].get(f"{path.partition('/{}')[0]}{call.on}"))
    return str(rows[0]["id"])


def reads(path: str, caller: Caller, limit: int = DETAILS) -> Iterator[Response]:
    """Read a path: a whole list, or the first details of their list."""
    for full in filled(path, caller, limit):
        yield caller.get(full)


# Lists whose rows are identified in paths by another key than their id.
_KEYS = dict.fromkeys(
    ("/contracts/{}/versions", "/products/{}/versions", "/tier/accounts/{}/versions"), "version"
)


def filled(path: str, caller: Caller, limit: int) -> Iterator[str]:
    """Yield the path with ids of existing objects and its required query."""
    if "{}" not in path:
        yield path
        return
    parent, _, rest = path.rpartition("/{}")
    for full in filled(parent, caller, limit):
        for row in _rows(full, caller, limit):
            yield f"{full}/{row[_KEYS.get(parent, 'id')]}{rest}{_query(path, caller)}"


def _rows(full: str, caller: Caller, limit: int) -> list[Any]:
    """Return the rows at a path; for a detail, the keys of its parts."""
    match full:
        case "/usage/products":
            full = "/products"
        case "/templates":
            full = f"/products/{_request(caller)['asset']['product']['id']}/templates"
        case _ if full.endswith("/assign"):
            return [{"id": str(caller.key).partition(":")[0]}]
    return list(_must(caller.get(f"{full}?limit={limit}")))


def _query(path: str, caller: Caller) -> str:
    """Return the required query of a path."""
    return f"?request_id={_request(caller)['id']}" if path == "/templates/{}/render" else ""


def _request(caller: Caller) -> Any:
    return _must(caller.get("/requests?limit=1"))[0]
