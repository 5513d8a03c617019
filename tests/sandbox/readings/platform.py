"""A platform of a test, and what callers and handlers of it observe: facts by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt

from requests_queue.catalog.models import TierAccount
from requests_queue.queues.usage_file import processing
from tests import make
from tests.api import Caller, caller
from tests.queue import spreadsheets as sheets
from webhooks.delivery import claim
from webhooks.delivery.attempt import prepare
from webhooks.models import Delivery, Event

Facts = dict[str, Any]

CAPABILITIES = {"cart": {"validation": True}, "ppu": {"schema": "QT"}}
_TILES = {"activation_tile": "Ready"}


class Platform:
    """A product with parameters and templates, its two parties, and a webhook."""

    def __init__(self) -> None:
        self.catalog = make.catalog(capabilities=CAPABILITIES)
        for name, constraints in (("domain", {}), ("size", {"required": True})):
            make.parameter(self.catalog, name, constraints=constraints)
        template = self.catalog.template
        for kind in ("pending", "inquire"):
            template.pk, template.type = f"TL-{kind}", kind
            template.save(force_insert=True)
        template.pk, template.type, template.scope = "TL-tier", "fulfillment", "tier1"
        template.save(force_insert=True)
        make.webhook(self.catalog)
        self.vendor, self.distributor = caller(self.catalog.vendor), caller(self.catalog.provider)
        self._events = 0

    def events(self) -> int:
        """Return how many events there are since the last call."""
        before, self._events = self._events, Event.objects.count()
        return self._events - before

    def order(self, *, size: str = "5", **more: Any) -> str:
        """Order, and return the id."""
        given = {"params": [{"id": "domain", "value": "a"}, {"id": "size", "value": size}]}
        body = make.purchase(self.catalog, asset=given, **more)
        response = self.distributor.post("/requests", body)
        assert response.status == 201, response.json
        return str(response.json["id"])

    def on_asset(self, kind: str, asset: str) -> Any:
        return self.distributor.post("/requests", {"type": kind, "asset": {"id": asset}})


def observe() -> Facts:
    """Return what callers and handlers observe on a new platform."""
    platform = Platform()
    return {
        **_of_orders(platform),
        **_of_errors(platform),
        **_of_lists(platform),
        **_of_subscriptions(platform),
        **_of_usage(platform),
        **_of_tiers(platform),
        # Last: a claim takes what is pending.
        **_of_requests(platform),
    }


def _of_orders(platform: Platform) -> Facts:
    facts: Facts = {}
    platform.order(status="draft")
    facts["events of a draft"] = platform.events()
    waiting = platform.order(size="")
    facts["events of an order that has to wait"] = platform.events()
    facts["its status"] = _get(platform.vendor, waiting)["status"]
    facts["template of an inquiry"] = "template" in _get(platform.vendor, waiting)
    pk = platform.order()
    facts["events of an order"] = platform.events()
    shown = _get(platform.vendor, pk)
    facts["template of a pending order"] = "template" in shown
    facts["filtered by template"] = len(
        platform.vendor.get("/requests?eq(template.id,TL-pending)").json
    )
    facts["keys of an order"] = sorted(_without_unknown(shown).keys() - {"template"})
    facts["first key of an order"] = next(iter(_without_unknown(shown)))
    facts["unknown key of an order"] = "x_unknown" in shown
    facts["date of an order"] = len(shown["created"])
    return facts | _of_an_inquiry(platform, pk)


def _of_an_inquiry(platform: Platform, pk: str) -> Facts:
    facts: Facts = {}
    params = {"asset": {"params": [{"id": "domain", "value_error": "Not this one."}]}}
    facts["PUT"] = platform.vendor.put(f"/requests/{pk}", params).status
    facts["events of a PUT"] = platform.events()
    facts["inquire"] = _answer(platform.vendor.post(f"/requests/{pk}/inquire", {}))
    note = {"note": "An inquiry of a product without the capability"}
    refused = platform.vendor.put(f"/requests/{pk}", note)
    facts["PUT of an inquiry"] = _answer(refused)
    platform.events()
    platform.vendor.post(f"/requests/{pk}/pend")
    pended = _get(platform.vendor, pk)
    facts["errors after pend"] = [p["value_error"] for p in pended["asset"]["params"]]
    facts["approve without a template"] = _answer(platform.vendor.post(f"/requests/{pk}/approve"))
    platform.vendor.post(f"/requests/{pk}/approve", _TILES)
    asset = _get(platform.vendor, pk)["asset"]["id"]
    params = _get(platform.vendor, asset, "/assets")["params"]
    facts["errors of the subscription"] = [each["value_error"] for each in params]
    return facts


def _of_errors(platform: Platform) -> Facts:
    pk = platform.order()
    platform.vendor.post(f"/requests/{pk}/fail", {"reason": "No."})
    again = platform.vendor.post(f"/requests/{pk}/approve", _TILES)
    updated = platform.vendor.put(f"/requests/{pk}", {"note": "Too late"})
    return {
        "approve of a failed order": (again.status, again.json["error_code"]),
        "PUT of a failed order": (updated.status, updated.json["error_code"]),
    }


def _of_lists(platform: Platform) -> Facts:
    make.order(platform.catalog, 11, asset={"params": [{"id": "size", "value": "5"}]})
    wrong = platform.vendor.get("/requests?limit=many")
    return {
        "objects of a page": len(platform.vendor.get("/requests").json) > 10,
        "unknown keys of a list": {
            "x_unknown" in each for each in platform.vendor.get("/requests?limit=2").json
        },
        "limit that is no number": wrong.status,
    }


def _of_subscriptions(platform: Platform) -> Facts:
    asset = make.asset(platform.catalog, status="suspended")
    change = platform.on_asset("change", asset.pk).status
    refused = platform.on_asset("cancel", asset.pk)
    return {
        "cancel of a suspended subscription": (
            refused.status,
            (refused.json or {}).get("error_code"),
        ),
        "change of a suspended subscription": change,
    }


def _of_tiers(platform: Platform) -> Facts:
    product = platform.catalog.product
    product.capabilities["tiers"] = {"configs": {"level": 1}}
    product.save()
    make.parameter(platform.catalog, "agreement", scope="tier1")
    account = TierAccount.objects.filter(type="reseller").first()
    configuration = {
        "product": {"id": product.pk},
        "account": {"id": account.pk if account else ""},
        "tier_level": 1,
    }
    body = {"type": "setup", "configuration": configuration}
    created = platform.distributor.post("/tier/config-requests", body)
    assert created.status == 201, created.json
    path = f"/tier/config-requests/{created.json['id']}"
    return {
        "assign of a tier request": platform.vendor.post(f"{path}/assign").status,
        "approve of a tier request": platform.vendor.post(f"{path}/approve").status,
    }


def _of_usage(platform: Platform) -> Facts:
    body = {
        "name": "Usage",
        "product": {"id": platform.catalog.product.pk},
        "contract": {"id": "CRD-11111-11111-11111"},
    }
    created = platform.vendor.post("/usage/files", body)
    assert created.status == 201, created.json
    pk = created.json["id"]
    make.asset(platform.catalog, 2, external_id="ext-1")
    content = sheets.xlsx(sheets.table([sheets.row(1)]))
    uploaded = sheets.send(platform.vendor, f"/usage/files/{pk}/upload", content, name="a.xlsx")
    processing.run(pk)
    file = platform.vendor.get(f"/usage/files/{pk}").json
    return {"upload": uploaded.status, "usage file": (file["status"], file["error_detail"])}


def _of_requests(platform: Platform) -> Facts:
    [first, *_] = claim.claim(100).claims
    prepared = prepare(first)
    sent = {name.lower(): value for name, value in prepared.request.headers.items()}
    headers = sorted({"authentication", "authorization"} & sent.keys())
    body = json.loads(prepared.request.body or b"")
    token = sent[headers[0]].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    return {
        "pending deliveries": Delivery.objects.filter(state="waiting").count() > 0,
        "headers with the token": headers,
        "object class": {body["object_class"], claims["object_class"]},
        "slash of the API URL": {each["api_url"].endswith("/") for each in (body, claims)},
        "slash of the webhook's API URL": platform.vendor.get("/notifications/webhooks")
        .json[0]["api_url"]
        .endswith("/"),
        "first keys of a request": [next(iter(_without_unknown(each))) for each in (body, claims)],
        "unknown keys of a request": {"x_unknown" in each for each in (body, claims)},
        "keys of a request": sorted(_without_unknown(body)),
    }


def _get(who: Caller, pk: str, path: str = "/requests") -> Any:
    response = who.get(f"{path}/{pk}")
    assert response.status == 200, response.json
    return response.json


def _answer(response: Any) -> tuple[int, str]:
    """Return the status, and the error code or the object's status."""
    content = response.json or {}
    return response.status, content.get("error_code") or content.get("status", "")


def _without_unknown(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "x_unknown"}
