"""CloudBlue's library for end-to-end tests of processors: orders that a webhook's handler
processes, awaited and asserted by the library, unmodified."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import environments, orders
from tests.e2e import clients
from tests.engines import until
from tests.handlers import Handler, ReceivedRequest, handler
from tests.processes import Sandbox, output

pytestmark = pytest.mark.clients

FLOWS = clients.table("testing_library")
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
            if param["phase"] == "fulfillment"
            and param["constraints"].get("required")
            and not param["value"]
        ]
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
        def fixed() -> Any:
            request = self.running.as_vendor("GET", path)
            return None if self.wrong(request) else request

        return dict(until(fixed, f"{path} has another value"))

    def write(self, path: str, request: dict[str, Any], params: list[dict[str, Any]]) -> None:
        body = {"asset": {"params": params}} if "asset" in request else {"params": params}
        self.running.as_vendor("PUT", path, body)

    def act(self, path: str, body: dict[str, Any]) -> None:
        self.running.as_vendor("POST", path, body)


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
def report(running: Sandbox, processor: Processor) -> dict[str, Any]:
    specs = f"{running.url}/connect-openapi30.yml"
    sent = json.dumps({"testing_library": FLOWS})
    reports = clients.run("testing_library", running, "runner", sent=sent, SPECS=specs)
    return dict(reports["testing_library"])


@pytest.mark.parametrize("flow", FLOWS)
def test_library(report: dict[str, Any], flow: str) -> None:
    assert [*clients.findings(FLOWS[flow], report[flow])] == []


@pytest.mark.nightly(reason="test_library uses the same steps")
def test_behave(running: Sandbox, processor: Processor) -> None:
    """A behave feature with the library's steps."""
    python, options = str(clients.interpreter("testing_library")), ["--no-color", "--no-timings"]
    command = [python, "-m", "behave", *options, "--format", "plain"]
    env = {
        **environments.calling_loopback(),
        "CONNECT_API_URL": f"{running.url}/public/v1",
        "CONNECT_API_KEY": f"ApiKey {running.provider_key}",
    }
    printed = output([*command, str(clients.SCRIPTS / "features")], env, timeout=120)
    assert "4 scenarios passed, 0 failed, 0 skipped" in printed


def test_handler_has_no_errors(report: dict[str, Any], processor: Processor) -> None:
    assert processor.broken == []
    assert len(processor.inquired) >= 2
