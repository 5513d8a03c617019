"""CloudBlue's library for end-to-end tests of processors: orders that a webhook's handler
processes, awaited and asserted by the library, unmodified."""

from __future__ import annotations

import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import environments, orders
from tests.e2e.test_openapi_client import SCRIPTS, run
from tests.handlers import Handler, ReceivedRequest, handler
from tests.processes import Sandbox, pause, sandbox

pytestmark = pytest.mark.clients

REQUIREMENTS = "connect-devops-testing-library==25.2\n"
SUITE, METER = "PRD-362-917-440", "PRD-590-284-731"
WRONG, ERROR, REASON = "wrong", "Nobody reads this.", "We don't sell to you."


@dataclass
class Processor:
    """The vendor's handler: processes all pending requests."""

    running: Sandbox
    lock: threading.Lock = field(default_factory=threading.Lock)
    inquired: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def __call__(self, request: ReceivedRequest) -> int:
        product, is_tier = request.json["product_id"], "tier_config" in request.json["object_class"]
        path = "/tier/config-requests" if is_tier else "/requests"
        about = "configuration" if is_tier else "asset"
        # Calls overlap: each approval is a queue change too.
        with self.lock:
            try:
                query = f"?status=pending&{about}.product.id={product}"
                for row in self.running.as_vendor("GET", f"{path}{query}"):
                    self.process(f"{path}/{row['id']}")
            except Exception:
                self.broken.append(traceback.format_exc())
                return 500
        return 200

    def process(self, path: str) -> None:
        """Inquire or fail requests with such values, and approve the others."""
        request = self.running.as_vendor("GET", path)
        wrong = self.wrong(request)
        if wrong and request["id"] in self.inquired:
            # The library pends a request before it sends the new value.
            request = self.until_fixed(path)
        elif wrong:
            self.inquired.add(request["id"])
            self.write(path, request, [{"id": wrong, "value_error": ERROR}])
            return self.act(f"{path}/inquire", {"template_id": "TL-213-870-002"})
        if any(param["value"] == "fail@example.com" for param in self.params(request)):
            return self.act(f"{path}/fail", {"reason": REASON})
        needed = [
            {"id": param["id"], "value": f"ID:{request['id']}"}
            for param in self.params(request)
            if param["phase"] == "fulfillment" and param["constraints"].get("required")
            and not param["value"]
        ]  # fmt: skip
        if needed:
            self.write(path, request, needed)
        return self.act(f"{path}/approve", {})

    @staticmethod
    def params(request: dict[str, Any]) -> list[dict[str, Any]]:
        params: list[dict[str, Any]] = request.get("asset", request)["params"]
        return params

    def wrong(self, request: dict[str, Any]) -> str:
        """Return the parameter that has a wrong value."""
        return next(
            (p["id"] for p in self.params(request) if str(p["value"]).startswith(WRONG)), ""
        )

    def until_fixed(self, path: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while self.wrong(request := self.running.as_vendor("GET", path)):
            assert time.monotonic() < deadline, f"{path} keeps its wrong value"
            pause()
        return dict(request)

    def write(self, path: str, request: dict[str, Any], params: list[dict[str, Any]]) -> None:
        body = {"asset": {"params": params}} if "asset" in request else {"params": params}
        self.running.as_vendor("PUT", path, body)

    def act(self, path: str, body: dict[str, Any]) -> None:
        self.running.as_vendor("POST", path, body)


@pytest.fixture(scope="module")
def interpreter() -> Path:
    return environments.python("testing_library", REQUIREMENTS)


@pytest.fixture(scope="module")
def running(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def processor(running: Sandbox) -> Iterator[Processor]:
    """The vendor's handler for webhooks of three queues."""
    processor = Processor(running)
    with handler(processor) as served:
        wake(running, served)
        yield processor


def wake(running: Sandbox, served: Handler) -> None:
    for product in (orders.PLAIN, METER):
        orders.webhook(running, served.url, product)
    orders.webhook(running, served.url, SUITE, object_class="tier_config_request")


@pytest.fixture(scope="module")
def report(interpreter: Path, running: Sandbox, processor: Processor) -> dict[str, Any]:
    specs = f"{running.url}/connect-openapi30.yml"
    return run(interpreter, running, "testing_library", SPECS=specs)


def values(params: list[dict[str, Any]]) -> dict[str, Any]:
    return {param["id"]: param["value"] for param in params}


def test_order_is_approved(report: dict[str, Any]) -> None:
    request = report["approved"]
    assert (request["status"], request["asset"]["status"]) == ("approved", "active")
    assert values(request["asset"]["params"])["activation_id"] == f"ID:{request['id']}"
    assert request["note"] == "Ordered by the library."
    # Read-only fields, and fields that the product does not have, are ignored.
    assert request["asset"]["product"]["name"] == "Nimbus Backup"
    item = request["asset"]["items"][0]
    assert (item["mpn"], item["quantity"], item["params"]) == ("NB-SEAT", "4", [])
    assert request["asset"]["tiers"]["tier2"]["id"] == "TA-6120-4478-0045"
    assert request["asset"]["tiers"]["tier1"]["type"] == "reseller"


def test_order_fails(report: dict[str, Any]) -> None:
    request = report["failed"]
    assert (request["status"], request["reason"]) == ("failed", REASON)
    assert request["asset"]["status"] == "terminated"


def test_inquiry_is_answered(report: dict[str, Any]) -> None:
    inquired, answered = report["inquired"], report["answered"]
    errors = {p["id"]: p["value_error"] for p in inquired["asset"]["params"]}
    assert inquired["status"] == "inquiring" and errors["contact_email"] == ERROR
    assert answered["id"] == inquired["id"] and answered["status"] == "approved"
    assert values(answered["asset"]["params"])["contact_email"] == "it@example.com"
    assert not any(p["value_error"] for p in answered["asset"]["params"])


def test_unchanged_object_is_not_sent(report: dict[str, Any]) -> None:
    assert report["unchanged"] == report["approved"]


def test_subscription_lifecycle(report: dict[str, Any]) -> None:
    steps = [(r["type"], r["status"], r["asset"]["status"]) for r in report["life"]]
    assert steps == [
        ("purchase", "approved", "active"), ("change", "approved", "active"),
        ("adjustment", "approved", "active"), ("suspend", "approved", "suspended"),
        ("resume", "approved", "active"), ("cancel", "approved", "terminated"),
    ]  # fmt: skip
    changed, adjusted = report["life"][1:3]
    quantities = {
        i["global_id"]: (i["old_quantity"], i["quantity"]) for i in changed["asset"]["items"]
    }
    assert quantities[f"{METER}-0001"] == ("4", "9")
    assert values(adjusted["asset"]["params"])["workspace_id"] == "ws-adjusted"


def test_reseller_is_set_up(report: dict[str, Any]) -> None:
    request = report["tier"]
    assert (request["type"], request["status"]) == ("setup", "approved")
    assert request["configuration"]["status"] == "active"
    assert values(request["params"])["partner_tenant"] == f"ID:{request['id']}"
    assert report["tier_again"]["status"] == 400
    assert report["kinds"] == [True, True]


def test_inquiry_about_a_reseller_is_answered(report: dict[str, Any]) -> None:
    inquired, answered = report["tier_inquired"], report["tier_answered"]
    assert inquired["status"] == "inquiring"
    assert answered["id"] == inquired["id"] and answered["status"] == "approved"
    assert values(answered["params"])["partner_agreement"] == "NS-2"


def test_assertions(report: dict[str, Any]) -> None:
    assert len(report["checked"]["true"]) == 27
    denied = report["checked"]["denied"]
    assert len(denied) == 21 and all(denied.values())
    assert denied["asset_status"] == "Asset status 'active' is not 'something else'."


def test_request_is_read_from_a_file(report: dict[str, Any]) -> None:
    approved = {k: v for k, v in report["approved"].items() if k != "asset"}
    assert report["from_file"] == {**approved, "id": "X"}


def test_behave(interpreter: Path, running: Sandbox, processor: Processor) -> None:
    """A behave feature with the library's steps."""
    done = subprocess.run(
        [str(interpreter), "-m", "behave", "--no-color", "--no-timings", "--format", "plain",
         str(SCRIPTS / "features")],
        env={
            **environments.calling_loopback(),
            "CONNECT_API_URL": f"{running.url}/public/v1",
            "CONNECT_API_KEY": f"ApiKey {running.provider_key}",
        },
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 scenarios passed, 0 failed, 0 skipped" in done.stdout


def test_handler_has_no_errors(report: dict[str, Any], processor: Processor) -> None:
    assert processor.broken == []
    assert len(processor.inquired) >= 2
