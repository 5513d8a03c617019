"""Helpers for validated requests: the handler process, and the actions of both parties."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests import orders
from tests.engines import until
from tests.make import CONTACT
from tests.processes import ROOT, Process, Sandbox, environment
from webhooks import types
from webhooks.types import ValidatorTrigger, WebhookType

Json = dict[str, Any]
SUITE = "PRD-362-917-440"
CONNECTION = "CT-3380-6125-4471"
# A configured reseller, so that orders do not wait for a setup.
RESELLER = "TA-6120-4478-0112"
SCRIPT = Path(__file__).parent / "validating_handler.py"
VALIDATORS = {t.type: t for t in types.registered() if t.trigger is not None}


@dataclass
class Validator:
    """A handler in a separate process."""

    url: str

    def rules(self, **by_type: Json) -> None:
        """Set the responses by type of webhook; other types get the object back."""
        rules = {f"/{name}": rule for name, rule in by_type.items()}
        requests.post(f"{self.url}/rules", json=rules, timeout=5).raise_for_status()

    def release(self) -> None:
        """Release the held calls."""
        requests.post(f"{self.url}/release", timeout=5).raise_for_status()

    def received(self, *about: str) -> list[Json]:
        """Return the received calls of these objects or webhooks, or all."""
        return list(requests.get(f"{self.url}/received?{'&'.join(about)}", timeout=5).json())

    def until_received(self, count: int, *about: str, timeout: float = 60) -> None:
        """Wait for a number of calls."""
        until(lambda: len(self.received(*about)) >= count, f"{count} calls", timeout)


@contextmanager
def validator(folder: Path, *options: str) -> Iterator[Validator]:
    """Run a handler process for the block."""
    command = [sys.executable, str(SCRIPT), "--secret", orders.SECRET, *options]
    process = Process(command, environment(folder), folder / "handler.log", ROOT)
    try:
        process.start_until("\n")
        yield Validator(process.printed.split()[0])
    finally:
        process.kill()


def hook(running: Sandbox, served: Validator, type_: str, **more: Any) -> Json:
    """Create a webhook of a validator type on the suite as the vendor."""
    body = {
        "label": type_,
        "type": type_,
        "object_class": VALIDATORS[type_].object_class,
        "data": {"tenant": "lab"},
        **more,
    }
    url = body.pop("external_url", f"{served.url}/{type_}")
    return orders.webhook(running, url, body.pop("product_id", SUITE), **body)


def drop(running: Sandbox, *hooks: Json) -> None:
    for webhook in hooks:
        running.as_vendor("DELETE", f"/notifications/webhooks/{webhook['id']}")


def read_hook(running: Sandbox, webhook: Json) -> Json:
    return dict(running.as_vendor("GET", f"/notifications/webhooks/{webhook['id']}"))


def validate(running: Sandbox, path: str, body: Any = None) -> requests.Response:
    """Validate as the distributor, and return the response."""
    return running.call("POST", f"/public/v1{path}/validate", body, key=running.provider_key)


def timeless(node: Any) -> Any:
    """Return an object without the dates of its last change."""
    if isinstance(node, dict):
        return {k: timeless(v) for k, v in node.items() if k != "updated"}
    return [timeless(v) for v in node] if isinstance(node, list) else node


# Parameters by their role in tests and tier level (None: of subscriptions).
NAMES: dict[int | None, dict[str, str]] = {
    None: {"wrong": "admin_email", "text": "company_alias", "phone": "security_phone",
           "choice": "data_region", "vendors": "tenant_id"},
    1: {"wrong": "partner_agreement", "text": "partner_alias", "phone": "partner_phone",
        "choice": "partner_region", "vendors": "partner_tenant"},
    2: {"wrong": "master_reference", "text": "master_alias", "phone": "master_phone",
        "choice": "master_region", "vendors": "master_tenant"},
}  # fmt: skip


def add_tier_parameters(running: Sandbox) -> None:
    """Add tier parameters of each type that ordering parameters have."""
    regions = [{"value": "eu", "label": "Europe"}, {"value": "us", "label": "United States"}]
    for level in (1, 2):
        for role, kind in (("text", "text"), ("phone", "phone"), ("choice", "dropdown")):
            name = NAMES[level][role]
            body: Json = {
                "name": name,
                "title": name,
                "type": kind,
                "scope": f"tier{level}",
                "phase": "ordering",
                "description": name,
            }
            if kind == "dropdown":
                body["constraints"] = {"choices": regions}
            running.as_vendor("POST", f"/products/{SUITE}/parameters", body)


class Flow:
    """A request on the suite, from its creation to its approval."""

    base, submit = "/requests", "submit"

    def __init__(self, running: Sandbox, fires: ValidatorTrigger) -> None:
        self.running, self.fires = running, fires
        self.names = NAMES[fires.level]
        self.pk = self.make()
        self.path = f"{self.base}/{self.pk}"
        if fires.status == "inquiring":
            error = {"id": self.names["wrong"], "value_error": "We don't know this one."}
            self.as_vendor("PUT", self.body(error))
            self.as_vendor("POST", {}, "inquire")
        assert self.read()["status"] == fires.status

    def make(self) -> str:
        raise NotImplementedError

    def body(self, *params: Json) -> Json:
        raise NotImplementedError

    def params(self, shown: Json) -> dict[str, Json]:
        raise NotImplementedError

    def as_vendor(self, method: str, body: Any = None, action: str = "") -> Any:
        return self.running.as_vendor(method, f"{self.path}/{action}".rstrip("/"), body)

    def as_distributor(self, method: str, body: Any = None, action: str = "") -> Any:
        return self.running.as_distributor(method, f"{self.path}/{action}".rstrip("/"), body)

    def read(self) -> Json:
        return dict(self.as_vendor("GET"))

    def validate(self, *params: Json) -> requests.Response:
        return validate(self.running, self.path, self.body(*params) if params else None)

    def leave(self) -> None:
        """Make the request pending: purchase the draft, or submit the inquiring request again."""
        self.as_distributor("POST", {}, "pend" if self.fires.status == "inquiring" else self.submit)
        assert self.read()["status"] == "pending"

    def approve(self) -> Json:
        param = {"id": self.names["vendors"], "value": f"vt-{self.pk}"}
        self.as_vendor("PUT", self.body(param))
        self.as_vendor("POST", {}, "approve")
        body = self.read()
        assert body["status"] == "approved"
        return body


class Order(Flow):
    """A purchase, or a change, renewal or transfer of an active subscription."""

    def make(self) -> str:
        draft = {"status": "draft"} if self.fires.status == "draft" else {}
        if self.fires.kind == "purchase":
            self.submit = "purchase"
            return str(order(self.running, **draft)["id"])
        asset = active(self.running)
        body = {
            "type": self.fires.kind,
            **draft,
            "asset": {"id": asset, "items": [{"id": f"{SUITE}-0001", "quantity": 9}]},
        }
        return str(self.running.as_distributor("POST", "/requests", body)["id"])

    def body(self, *params: Json) -> Json:
        return {"asset": {"params": list(params)}}

    def params(self, shown: Json) -> dict[str, Json]:
        return {p["id"]: p for p in shown["asset"]["params"]}


class Configuration(Flow):
    """A setup or an update of a reseller's configuration."""

    base = "/tier/config-requests"

    def make(self) -> str:
        request = self.ask("setup") if self.fires.kind == "setup" else None
        if request is None:
            first = Configuration(
                self.running, ValidatorTrigger("setup", "pending", "", self.fires.level)
            )
            first.approve()
            request = self.ask("update", id=first.read()["configuration"]["id"])
        return str(request["id"])

    def ask(self, kind: str, **of: Any) -> Json:
        draft = {"status": "draft"} if self.fires.status == "draft" else {}
        config = of or {
            "product": {"id": SUITE},
            "tier_level": self.fires.level,
            "account": {"name": "Ash Resellers", "contact_info": CONTACT},
        }
        params = [{"id": self.names["wrong"], "value": "NSS-1"}]
        body = {"type": kind, **draft, "configuration": config, "params": params}
        return dict(self.running.as_distributor("POST", self.base, body))

    def body(self, *params: Json) -> Json:
        return {"params": list(params)}

    def params(self, shown: Json) -> dict[str, Json]:
        return {p["id"]: p for p in shown["params"]}


def begin(running: Sandbox, webhook_type: WebhookType) -> Flow:
    """Create a request in the status in which a validator of the type is called."""
    assert webhook_type.trigger is not None
    kind = Order if webhook_type.object_class == "fulfillment_request" else Configuration
    return kind(running, webhook_type.trigger)


def draft(running: Sandbox) -> Flow:
    """Create a draft of a purchase."""
    return begin(running, VALIDATORS["validator"])


def order(running: Sandbox, **more: Any) -> Json:
    """Order the suite for a new customer of a configured reseller."""
    body = {
        "type": "purchase",
        **more,
        "asset": {
            "connection": {"id": CONNECTION},
            "items": [{"id": f"{SUITE}-0001", "quantity": 5}],
            "params": [{"id": "admin_email", "value": "a@example.com"}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"id": RESELLER},
            },
        },
    }
    return dict(running.as_distributor("POST", "/requests", body))


def active(running: Sandbox) -> str:
    """Return a new active subscription."""
    request = order(running)
    params = [{"id": "tenant_id", "value": f"tn-{request['id']}"}]
    running.as_vendor("PUT", f"/requests/{request['id']}", {"asset": {"params": params}})
    running.as_vendor("POST", f"/requests/{request['id']}/approve", {})
    return str(request["asset"]["id"])
