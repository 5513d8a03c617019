"""connect-openapi-client on threads, on asyncio, or with a document (`use_specs`), by KIND."""

import inspect
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests as http
from bodies import CONTACT, METER, PLAIN, PROVIDER_KEY, SUITE, URL, VENDOR_KEY, purchase
from connect.client import AsyncConnectClient, ClientError, ConnectClient, R

KIND = os.environ["KIND"]
HANDLER, SECRET = os.environ["HANDLER_URL"], os.environ["SECRET"]
WORKBOOK = Path(os.environ["XLSX"]).read_bytes()
HUB, CONTRACT = "HB-7710-3391", "CRD-41020-88713-20954"
CASCADE = {"id": "TA-6120-4478-0112"}
ADMIN = [{"id": "admin_email", "value": "a@example.com"}]
Refused = ClientError

ITEM = {
    "name": "Vault", "mpn": "NV-1", "description": "A vault.", "type": "reservation",
    "period": "monthly", "precision": "integer", "unit": {"id": "gb"}, "commitment": {"count": 1},
}  # fmt: skip
PARAMETER = {
    "name": "vault_name", "title": "Name", "description": "What it is called.", "type": "text",
    "scope": "asset", "phase": "ordering", "constraints": {"required": True},
}  # fmt: skip
TEMPLATE = {
    "name": "Ready", "title": "Ready", "scope": "asset", "type": "fulfillment",
    "body": "# Vault {{ asset.params.vault_id.value }} of {{ asset.tiers.customer.name }}",
}  # fmt: skip
ACTION = {
    "action": "open", "name": "Open", "title": "Open", "type": "button", "scope": "asset",
    "description": "Opens the vault.",
}  # fmt: skip
COLUMNS = (
    "record_id", "item_search_criteria", "item_search_value", "quantity", "start_time_utc",
    "end_time_utc", "asset_search_criteria", "asset_search_value", "amount",
)  # fmt: skip


def connect(key):
    specs = {"use_specs": True, "specs_location": os.environ["SPECS"]}
    kind = AsyncConnectClient if KIND == "async" else ConnectClient
    return kind(key, endpoint=URL, **(specs if KIND == "specs" else {}))


def described(error):
    return {
        "status": error.status_code,
        "error_code": error.error_code,
        "errors": error.errors,
        "params": error.additional_info.get("params"),
    }


vendor, distributor = connect(VENDOR_KEY), connect(PROVIDER_KEY)
requests, theirs = vendor.requests, distributor.requests
webhooks = vendor.ns("notifications").webhooks
setups, their_setups = (
    one.ns("tier").collection("config-requests") for one in (vendor, distributor)
)
changes, their_changes = (
    one.ns("tier").collection("account-requests") for one in (vendor, distributor)
)
configs, accounts = vendor.ns("tier").configs, distributor.ns("tier").accounts
bills, their_bills = (
    one.ns("subscriptions").collection("requests") for one in (vendor, distributor)
)
files, their_files = vendor.ns("usage").files, distributor.ns("usage").files
records = distributor.ns("usage").records
listings, their_listings = (one.collection("listing-requests") for one in (vendor, distributor))


def ids(rows):
    return [row["id"] for row in rows]


def status_of(client):
    return client.response.status_code


def ahead(days):
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def reseller(name):
    return {"name": f"{name} ({KIND})", "contact_info": CONTACT}


def cart(email):
    params = [{"id": "admin_email", "value": email}]
    return purchase(SUITE, params, tiers={"tier1": CASCADE}, status="draft")


def validating(kind, object_class, path):
    return {
        "label": f"{kind} ({KIND})",
        "product_id": SUITE,
        "type": kind,
        "object_class": object_class,
        "external_url": f"{HANDLER}/{path}",
        "jwt_secret": SECRET,
    }


def received(pk):
    """Return the calls of the handler about an object."""
    return http.get(f"{HANDLER}/received?{pk}", timeout=10).json()


def download(link):
    response = http.get(link, timeout=10)
    return [response.status_code, response.content[:2].decode("latin-1")]


def usage(name):
    return {
        "name": f"{name} ({KIND})",
        "product": {"id": SUITE},
        "contract": {"id": CONTRACT},
        "period": {"from": "2026-10-01", "to": "2026-10-31"},
        "description": "Hours of the desk.",
    }


def csv(*assets):
    """Return text with a row of usage for each subscription."""
    lines = [
        (
            f"{KIND}-{number}",
            "item.mpn",
            "NSS-DESK-PPU",
            "12.5",
            "2026-10-01 00:00:00",
            "2026-10-31 23:59:59",
            "asset.id",
            asset,
            "25",
        )
        for number, asset in enumerate(assets)
    ]
    return "\r\n".join(",".join(line) for line in (COLUMNS, *lines)).encode()


async def _result(response):
    return await response if inspect.isawaitable(response) else response


async def template(product, scope="asset"):
    """Return the id of a product's first template for fulfillment."""
    templates = vendor.products[product].templates.filter(scope=scope, type="fulfillment")
    return (await _result(templates.first()))["id"]


async def approved(request):
    """Set the parameters that an approval requires, as the vendor, and approve."""
    params = [
        {"id": param["id"], "value": f"filled-{request['id']}"}
        for param in request["asset"]["params"]
        if param["phase"] == "fulfillment" and param["constraints"]["required"]
    ]
    if request["type"] == "purchase":
        await _result(requests[request["id"]].update({"asset": {"params": params}}))
    body = {"template_id": await template(request["asset"]["product"]["id"])}
    return await _result(requests[request["id"]]("approve").post(body))
