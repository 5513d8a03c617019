"""Paths by which objects of each queue get to each status: a creation and actions by the API."""

from __future__ import annotations

import itertools
from typing import Any

from requests_queue import transitions
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Contract
from requests_queue.queues.usage_file import leases, processing
from requests_queue.queues.usage_file.models import UsageFile
from tests.api import Caller, Response
from tests.make import CONTACT
from tests.queue.platforms import Platform
from tests.queue.tables import FULFILLMENT, LISTING, PATHS, TIER_ACCOUNT, TIER_CONFIG, USAGE

AHEAD = "2099-01-01T00:00:00+00:00"
_numbers = itertools.count(1)


def reseller(name: str) -> dict[str, Any]:
    """Return a reseller as orders name it, found again by its uid."""
    return {"name": name, "external_uid": name, "contact_info": CONTACT}


KNOWN = reseller("known")


def order(platform: Platform, tier1: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the body of a purchase, by default through the reseller that is set up."""
    customer = {"name": "Harbour Cafe", "contact_info": CONTACT}
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": platform.catalog.connection.pk},
            "items": [{"id": platform.catalog.item.pk, "quantity": 5}],
            "tiers": {"customer": customer, "tier1": tier1 or KNOWN},
        },
        **more,
    }


def about(asset: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return the body of a request about a subscription."""
    given: dict[str, Any] = {"id": asset}
    if kind == "change":
        given["items"] = [{"id": "SEAT", "quantity": 100 + next(_numbers)}]
    return {"type": kind, "asset": given, **more}


def set_up(platform: Platform) -> None:
    """Set the reseller up, as its vendor does."""
    pk = create_config_request(platform, "setup", configuration={"account": KNOWN})
    platform.post("V", f"{PATHS[TIER_CONFIG]}/{pk}/approve")


def subscription(platform: Platform, status: str = "active") -> str:
    """Order and approve, up to a subscription that is active, suspended, terminating, …"""
    body = order(platform, **({"status": "draft"} if status == "draft" else {}))
    made = platform.post("D", "/requests", body)
    asset = str(made["asset"]["id"])
    if status in ("draft", "processing"):
        return asset
    platform.post("V", f"/requests/{made['id']}/approve")
    kind = {"suspended": "suspend", "terminating": "cancel", "terminated": "cancel"}.get(status)
    if kind:
        made = platform.post("D", "/requests", about(asset, kind))
        if status != "terminating":
            platform.post("V", f"/requests/{made['id']}/approve")
    return asset


def held(platform: Platform, status: str = "active") -> str:
    """Return a subscription that is there, else a new one."""
    return platform.assets.get(status) or subscription(platform, status)


def create_order(platform: Platform, kind: str, **more: Any) -> str:
    """Create a fulfillment request of a type, on a subscription that fits, and return its id."""
    if kind == "purchase":
        body = order(platform, **more)
    else:
        body = about(held(platform, "suspended" if kind == "resume" else "active"), kind)
    return str(platform.post("D", "/requests", {**body, **more})["id"])


def request(platform: Platform, status: str, kind: str = "purchase") -> str:
    """Bring a fulfillment request of a type to a status, where it may make any move of it."""
    if status == "draft":
        return create_order(platform, kind, status="draft")
    if status == "tiers_setup":
        return str(platform.post("D", "/requests", order(platform, reseller("new")))["id"])
    path = "/requests/" + (pk := create_order(platform, kind))
    fault = {"asset": {"params": [{"id": "asset_ask", "value_error": "Choose another."}]}}
    platform.put("V", path, fault)
    for who, verb in {
        "pending": (),
        "inquiring": (("V", "inquire"),),
        "approved": (("V", "approve"),),
        "failed": (("V", "fail"),),
        "scheduled": (("V", "schedule"),),
        "revoking": (("V", "schedule"), ("D", "revoke")),
        "revoked": (("V", "schedule"), ("D", "revoke"), ("V", "confirm")),
    }[status]:
        platform.post(who, f"{path}/{verb}", body_of(verb))
    return pk


def create_config_request(platform: Platform, kind: str, **more: Any) -> str:
    """Create a tier configuration request and return its id."""
    configuration = {
        "product": {"id": platform.product}, "account": reseller("another"), "tier_level": 1,
        **more.pop("configuration", {}),
    }  # fmt: skip
    if kind != "setup":
        configuration["account"] = KNOWN
    body = {"type": kind, "configuration": configuration, **more}
    return str(platform.post("D", PATHS[TIER_CONFIG], body)["id"])


def config_request(platform: Platform, status: str, kind: str = "setup") -> str:
    """Bring a tier configuration request of a type to a status."""
    if status == "draft":
        return create_config_request(platform, kind, status="draft")
    if status == "tiers_setup":
        above = {"parent_account": reseller("above")}
        return create_config_request(platform, kind, configuration=above)
    path = f"{PATHS[TIER_CONFIG]}/" + (pk := create_config_request(platform, kind))
    fault = {"params": [{"id": "tier1_ask", "value_error": "Choose another."}]}
    platform.put("V", path, fault)
    verb = {"inquiring": "inquire", "approved": "approve", "failed": "fail"}.get(status)
    if verb:
        platform.post("V", f"{path}/{verb}", body_of(verb))
    return pk


def account_request(platform: Platform, status: str, kind: str = "update") -> str:
    """Bring a tier account request to a status: a customer moves."""
    if status == "unsupported":
        off = {"capabilities": {"tiers": {"updates": False}}}
        platform.put("V", f"/products/{platform.product}", off)
    asset = platform.by["D"].get(f"/assets/{held(platform)}").json
    customer = asset["tiers"]["customer"]["id"]
    change = {"contact_info": {"city": f"Town {next(_numbers)}"}}
    platform.put("D", f"/tier/accounts/{customer}", change)
    [made] = platform.by["D"].get(f"{PATHS[TIER_ACCOUNT]}?account.id={customer}").json
    if status in ("accepted", "ignored"):
        verb = {"accepted": "accept", "ignored": "ignore"}[status]
        platform.post("V", f"{PATHS[TIER_ACCOUNT]}/{made['id']}/{verb}", body_of(verb))
    return str(made["id"])


def listing_body(platform: Platform, kind: str) -> dict[str, Any]:
    """Return the body of a listing request that the platform's listing can have."""
    [listing] = platform.by["V"].get(f"/listings?product.id={platform.product}").json
    if kind == "new":
        if listing["status"] == "listed":
            platform.put("D", f"/listings/{listing['id']}", {"status": "unlisted"})
        contract = Contract.objects.get(vendor=platform.catalog.vendor).pk
        return {"type": kind, "product_id": platform.product, "contract_id": contract}
    return {"type": kind, "listing_id": listing["id"]}


def listing_request(platform: Platform, status: str, kind: str = "update") -> str:
    """Bring a listing request of a type to a state."""
    made = platform.post("V", PATHS[LISTING], listing_body(platform, kind))
    for who, verb in {
        "draft": (),
        "reviewing": (("V", "submit"),),
        "deploying": (("V", "submit"), ("D", "deploy")),
        "completed": (("V", "submit"), ("D", "deploy"), ("D", "complete")),
        "canceled": (("V", "submit"), ("D", "cancel")),
    }[status]:
        platform.post(who, f"{PATHS[LISTING]}/{made['id']}/{verb}")
    return str(made["id"])


def sheet(asset: str, *numbers: int) -> bytes:
    """Return a spreadsheet with the usage of a subscription."""
    lines = [
        "record_id,item_search_criteria,item_search_value,quantity,start_time_utc,end_time_utc,"
        "asset_search_criteria,asset_search_value"
    ]
    lines += [
        f"r-{n},item.mpn,M-SEAT,{n},2026-11-01 00:00:00,2026-11-02 00:00:00,asset.id,{asset}"
        for n in numbers
    ]
    return "\n".join(lines).encode()


def send(who: Caller, path: str, content: bytes) -> Response:
    """Post a spreadsheet, for whichever call takes one."""
    field = "recon_file" if path.endswith("reconciliation") else "usage_file"
    head = f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="usage.csv"\r\n\r\n'
    body = head.encode() + content + b"\r\n--B--\r\n"
    return who.post(path, body, **{"Content-Type": "multipart/form-data; boundary=B"})


def drafted(platform: Platform) -> str:
    """Create a usage file and return its id."""
    contract = Contract.objects.get(vendor=platform.catalog.vendor).pk
    body = {"name": "May", "product": {"id": platform.product}, "contract": {"id": contract}}
    return str(platform.post("V", PATHS[USAGE], body)["id"])


def usage_file(platform: Platform, status: str, kind: str = "") -> str:
    """Bring a usage file to a status, with two records where it has any."""
    path = f"{PATHS[USAGE]}/" + (pk := drafted(platform))
    if status == "draft":
        return pk
    content = b"record_id\nr-1\n" if status == "invalid" else sheet(held(platform), 1, 2)
    assert send(platform.by["V"], f"{path}/upload", content).status == 201
    if status == "uploading":
        return pk
    if status == "processing":
        claim = {"claim": leases.claim(pk)}
        transitions.move(UsageFile, pk, "process", Actor(), claim)
        return pk
    processing.run(pk)
    if status == "uploaded":
        # Connect's older name of what is ready: no move of ours leads there.
        UsageFile.objects.filter(pk=pk).update(status="uploaded")
    for who, verb in {
        "deleted": (("V", "delete"),),
        "pending": (("V", "submit"),),
        "rejected": (("V", "submit"), ("D", "reject")),
        "accepted": (("V", "submit"), ("D", "accept")),
        "closed": (("V", "submit"), ("D", "accept"), ("D", "close")),
    }.get(status, ()):
        platform.post(who, f"{path}/{verb}")
    return pk


REACH = {
    FULFILLMENT: request, TIER_CONFIG: config_request, TIER_ACCOUNT: account_request,
    LISTING: listing_request, USAGE: usage_file,
}  # fmt: skip


def body_of(verb: str) -> Any:
    """Return a body with which a verb can be made."""
    return {
        "fail": {"reason": "Because."},
        "revoke": {"reason": "Not needed."},
        "ignore": {"reason": "Not kept."},
        "schedule": {"planned_date": AHEAD},
        "assign": None,
    }.get(verb)
