"""Create objects of each queue in each status, by creation and actions of the API."""

from __future__ import annotations

import itertools
from typing import Any

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Contract
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import leases, processing
from requests_queue.queues.usage_file.models import UsageFile
from tests.api import Caller, Response
from tests.make import CONTACT
from tests.queue import spreadsheets
from tests.queue.platforms import Platform
from tests.queue.tables import (
    CASES,
    FULFILLMENT,
    LISTING,
    PATHS,
    TIER_ACCOUNT,
    TIER_CONFIG,
    USAGE,
)

AHEAD = "2099-01-01T00:00:00+00:00"
_numbers = itertools.count(1)


def reseller(name: str) -> dict[str, Any]:
    """Return a reseller as orders name it, identified by its uid."""
    return {"name": name, "external_uid": name, "contact_info": CONTACT}


KNOWN_RESELLER = reseller("known")


def order(platform: Platform, tier1: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the body of a purchase, by default through the configured reseller."""
    customer = {"name": "Harbour Cafe", "contact_info": CONTACT}
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": platform.catalog.connection.pk},
            "items": [{"id": platform.catalog.item.pk, "quantity": 5}],
            "tiers": {"customer": customer, "tier1": tier1 or KNOWN_RESELLER},
        },
        **more,
    }


def asset_request(asset: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return the body of a request about a subscription."""
    body: dict[str, Any] = {"id": asset}
    if kind == "change":
        body["items"] = [{"id": "SEAT", "quantity": 100 + next(_numbers)}]
    return {"type": kind, "asset": body, **more}


def set_up(platform: Platform) -> None:
    """Set up the known reseller, as its vendor does."""
    pk = create_config_request(platform, "setup", configuration={"account": KNOWN_RESELLER})
    platform.post("V", f"{PATHS[TIER_CONFIG]}/{pk}/approve")


def subscription(platform: Platform, status: str = "active") -> str:
    """Create a subscription in a status: active, suspended, terminating, …"""
    body = order(platform, **({"status": "draft"} if status == "draft" else {}))
    created = platform.post("D", "/requests", body)
    asset = str(created["asset"]["id"])
    if status in ("draft", "processing"):
        return asset
    platform.post("V", f"/requests/{created['id']}/approve")
    kind = {"suspended": "suspend", "terminating": "cancel", "terminated": "cancel"}.get(status)
    if kind:
        created = platform.post("D", "/requests", asset_request(asset, kind))
        if status != "terminating":
            platform.post("V", f"/requests/{created['id']}/approve")
    return asset


def held(platform: Platform, status: str = "active") -> str:
    """Return an existing subscription, else a new one."""
    return platform.assets.get(status) or subscription(platform, status)


def create_order(platform: Platform, kind: str, **more: Any) -> str:
    """Create a fulfillment request of a type, on a matching subscription, and return its id."""
    if kind == "purchase":
        body = order(platform, **more)
    else:
        body = asset_request(held(platform, "suspended" if kind == "resume" else "active"), kind)
    return str(platform.post("D", "/requests", {**body, **more})["id"])


def request(platform: Platform, status: str, kind: str = "purchase") -> str:
    """Create a fulfillment request of a type in a status that allows all its actions."""
    if status == "draft":
        return create_order(platform, kind, status="draft")
    if status == "tiers_setup":
        return str(platform.post("D", "/requests", order(platform, reseller("new")))["id"])
    path = "/requests/" + (pk := create_order(platform, kind))
    fault = {"asset": {"params": [{"id": "asset_ask", "value_error": "Choose another."}]}}
    platform.put("V", path, fault)
    for actor, verb in {
        "pending": (),
        "inquiring": (("V", "inquire"),),
        "approved": (("V", "approve"),),
        "failed": (("V", "fail"),),
        "scheduled": (("V", "schedule"),),
        "revoking": (("V", "schedule"), ("D", "revoke")),
        "revoked": (("V", "schedule"), ("D", "revoke"), ("V", "confirm")),
    }[status]:
        platform.post(actor, f"{path}/{verb}", body_of(verb))
    return pk


def create_config_request(platform: Platform, kind: str, **more: Any) -> str:
    """Create a tier configuration request and return its id."""
    configuration = {
        "product": {"id": platform.product},
        "account": reseller("another"),
        "tier_level": 1,
        **more.pop("configuration", {}),
    }
    if kind != "setup":
        configuration["account"] = KNOWN_RESELLER
    body = {"type": kind, "configuration": configuration, **more}
    return str(platform.post("D", PATHS[TIER_CONFIG], body)["id"])


def config_request(platform: Platform, status: str, kind: str = "setup") -> str:
    """Create a tier configuration request of a type in a status."""
    if status == "draft":
        return create_config_request(platform, kind, status="draft")
    if status == "tiers_setup":
        above = {"parent_account": reseller("above")}
        return create_config_request(platform, kind, configuration=above)
    path = f"{PATHS[TIER_CONFIG]}/" + (pk := create_config_request(platform, kind))
    platform.put("V", path, {"params": [{"id": "tier1_ask", "value_error": "Choose another."}]})
    verb = {"inquiring": "inquire", "approved": "approve", "failed": "fail"}.get(status)
    if verb:
        platform.post("V", f"{path}/{verb}", body_of(verb))
    return pk


def account_request(platform: Platform, status: str, kind: str = "update") -> str:
    """Create a tier account request in a status: the address of a customer changes."""
    if status == "unsupported":
        off = {"capabilities": {"tiers": {"updates": False}}}
        platform.put("V", f"/products/{platform.product}", off)
    asset = platform.by["D"].get(f"/assets/{held(platform)}").json
    customer = asset["tiers"]["customer"]["id"]
    change = {"contact_info": {"city": f"Town {next(_numbers)}"}}
    platform.put("D", f"/tier/accounts/{customer}", change)
    [created] = platform.by["D"].get(f"{PATHS[TIER_ACCOUNT]}?account.id={customer}").json
    if status in ("accepted", "ignored"):
        verb = {"accepted": "accept", "ignored": "ignore"}[status]
        platform.post("V", f"{PATHS[TIER_ACCOUNT]}/{created['id']}/{verb}", body_of(verb))
    return str(created["id"])


def listing_body(platform: Platform, kind: str) -> dict[str, Any]:
    """Return the body of a listing request of a type that the platform's listing allows."""
    [listing] = platform.by["V"].get(f"/listings?product.id={platform.product}").json
    if kind == "new":
        if listing["status"] == "listed":
            platform.put("D", f"/listings/{listing['id']}", {"status": "unlisted"})
        contract = Contract.objects.get(vendor=platform.catalog.vendor).pk
        return {"type": kind, "product_id": platform.product, "contract_id": contract}
    return {"type": kind, "listing_id": listing["id"]}


def listing_request(platform: Platform, status: str, kind: str = "update") -> str:
    """Create a listing request of a type in a state."""
    created = platform.post("V", PATHS[LISTING], listing_body(platform, kind))
    for actor, verb in {
        "draft": (),
        "reviewing": (("V", "submit"),),
        "deploying": (("V", "submit"), ("D", "deploy")),
        "completed": (("V", "submit"), ("D", "deploy"), ("D", "complete")),
        "canceled": (("V", "submit"), ("D", "cancel")),
    }[status]:
        platform.post(actor, f"{PATHS[LISTING]}/{created['id']}/{verb}")
    return str(created["id"])


def sheet(asset: str, *numbers: int) -> bytes:
    """Return a spreadsheet with the usage of a subscription."""
    rows = [spreadsheets.row(n, quantity=n, asset_search_value=asset) for n in numbers]
    return spreadsheets.csv(spreadsheets.table(rows))


def send(caller: Caller, path: str, content: bytes) -> Response:
    """Post a spreadsheet as a multipart form."""
    field = "recon_file" if path.endswith("reconciliation") else "usage_file"
    return spreadsheets.send(caller, path, content, field, "usage.csv")


def draft_usage_file(platform: Platform) -> str:
    """Create a usage file and return its id."""
    contract = Contract.objects.get(vendor=platform.catalog.vendor).pk
    body = {"name": "May", "product": {"id": platform.product}, "contract": {"id": contract}}
    return str(platform.post("V", PATHS[USAGE], body)["id"])


def usage_file(platform: Platform, status: str, kind: str = "") -> str:
    """Create a usage file in a status, with two records if it has any."""
    path = f"{PATHS[USAGE]}/" + (pk := draft_usage_file(platform))
    if status == "draft":
        return pk
    content = b"record_id\nr-1\n" if status == "invalid" else sheet(held(platform), 1, 2)
    assert send(platform.by["V"], f"{path}/upload", content).status == 201
    if status == "uploading":
        return pk
    if status == "processing":
        transitions.move(UsageFile, pk, "process", Actor(), {"claim": leases.claim(pk)})
        return pk
    processing.run(pk)
    if status == "uploaded":
        # Connect's older name of `ready`: no action leads to it.
        UsageFile.objects.filter(pk=pk).update(status="uploaded")
    for actor, verb in {
        "deleted": (("V", "delete"),),
        "pending": (("V", "submit"),),
        "rejected": (("V", "submit"), ("D", "reject")),
        "accepted": (("V", "submit"), ("D", "accept")),
        "closed": (("V", "submit"), ("D", "accept"), ("D", "close")),
    }.get(status, ()):
        platform.post(actor, f"{path}/{verb}")
    return pk


def attach(who: Caller, case: str, content: bytes, kind: str = "text/plain") -> Response:
    """Add a file to a case."""
    body = (
        f'--B\r\nContent-Disposition: form-data; name="file"; filename="a file.png"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    form = body.encode() + content + b"\r\n--B--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    return who.call("POST", f"{PATHS[CASES]}/{case}/attachments", form, headers)


def case_body(platform: Platform, actor: str = "D", **more: Any) -> dict[str, Any]:
    """Return the body of a case that a party opens with the other one."""
    catalog = platform.catalog
    receiver = catalog.vendor if actor == "D" else catalog.provider
    return {
        "type": "technical",
        "subject": "Sign-in fails",
        "description": "Since this morning, for all customers.",
        "receiver": {"account": {"id": receiver.pk}},
        **more,
    }


def helpdesk_case(platform: Platform, status: str, kind: str = "technical") -> str:
    """Create a case of the distributor in a state."""
    created = platform.post("D", PATHS[CASES], case_body(platform, type=kind))
    for actor, verb in {
        "pending": (),
        "inquiring": (("V", "inquire"),),
        "resolved": (("V", "resolve"),),
        "closed": (("V", "resolve"), ("D", "close")),
    }[status]:
        platform.post(actor, f"{PATHS[CASES]}/{created['id']}/{verb}")
    return str(created["id"])


BUILDERS = {
    FULFILLMENT: request, TIER_CONFIG: config_request, TIER_ACCOUNT: account_request,
    LISTING: listing_request, USAGE: usage_file, CASES: helpdesk_case,
}  # fmt: skip


def body_of(verb: str) -> Any:
    """Return a valid body of an action."""
    return {
        "fail": {"reason": "Because."},
        "revoke": {"reason": "Not needed."},
        "ignore": {"reason": "Not kept."},
        "schedule": {"planned_date": AHEAD},
        "assign": None,
    }.get(verb)
