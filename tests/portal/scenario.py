"""Prepare a sandbox for screenshots and for tests of all pages."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.extensions.runner import runner
from tests.handlers import Handler, ReceivedRequest
from tests.processes import Sandbox, pause

PLAIN, SUITE, METER = "PRD-814-505-018", "PRD-362-917-440", "PRD-590-284-731"


@dataclass
class Scenario:
    """A prepared sandbox: ids of its objects by the names that shots use."""

    running: Sandbox
    ids: dict[str, str] = field(default_factory=dict)
    # Connections of calls whose response is held.
    lines: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """Close its connections."""
        for line in self.lines:
            line.close()


def prepare(scenario: Scenario, served: Handler) -> None:
    """Create webhooks that are out of order, in backoff, healthy and validating, and orders."""
    running = scenario.running
    down = {"/security"}
    served.respond = lambda request: _answer(request, down)
    security = _webhook(running, served, "security", "Security provisioning", SUITE)
    for _ in range(3):
        _sample(running, SUITE)
    _until_called(running, security)
    running.advance("3d")
    well = _webhook(running, served, "backup", "Backup provisioning", PLAIN)
    meter = _webhook(running, served, "meter", "Metering", METER)
    orders: list[str] = []
    for minutes, how_many in ((4, 3), (7, 1), (3, 5), (9, 2), (5, 4), (8, 2), (2, 6), (6, 1)):
        orders += [_sample(running, PLAIN) for _ in range(how_many)]
        _sample(running, METER)
        running.advance(f"{minutes}m")
    down.add("/meter")
    _sample(running, METER)
    for pk in orders[:8]:
        params = [{"id": "activation_id", "value": f"ACT-{pk[3:12]}"}]
        running.as_vendor("PUT", f"/requests/{pk}", {"asset": {"params": params}})
        running.as_vendor("POST", f"/requests/{pk}/approve", {})
    running.as_vendor("POST", f"/requests/{orders[9]}/fail", {"reason": "The region is full."})
    wrong = [{"id": "contact_email", "value_error": "No mailbox of this name exists."}]
    running.as_vendor("PUT", f"/requests/{orders[10]}", {"asset": {"params": wrong}})
    running.as_vendor("POST", f"/requests/{orders[10]}/inquire", {})
    since = running.call("GET", "/sandbox/cursor").json()["cursor"]
    acted = _handled(running)
    extension = _extension(running)
    trace = _trace(running, since, acted)
    judge = _webhook(running, served, "judge", "Regions", SUITE, type="validator")
    draft = _sample(running, SUITE, draft=True)
    running.as_distributor("POST", f"/requests/{draft}/validate", {})
    off = _webhook(running, served, "later", "Not yet", METER, active=False)
    running.advance("1m")
    form = running.as_vendor("GET", f"/requests/{orders[10]}")["params_form_url"]
    scenario.lines.append(_arm_faults(running, well))
    actions = f"/products/{SUITE}/actions"
    action = running.as_vendor("GET", f"{actions}?scope=asset&limit=1")[0]["id"]
    link = running.as_vendor("GET", f"{actions}/{action}/actionLink")["link"]
    scenario.ids |= {
        "lost": security,
        "well": well,
        "failing": meter,
        "request": orders[12],
        "judge": judge,
        "judged": draft,
        "off": off,
        "inquired": orders[10],
        "acted": acted,
        "trace": trace,
        "extension": extension,
        "form": form.removeprefix(running.url),
        "action": link.removeprefix(running.url),
    }


def _extension(running: Sandbox) -> str:
    """Make an extension with a task that is repeated, and return its environment."""
    made = running.call("POST", "/sandbox/extensions", {"name": "Approvals"}).json()
    environment = str(made["environment"])
    with runner(running.url, running.vendor_key, environment) as connected:
        connected.set_up(variables=[{"name": "PREFIX", "initial_value": "ACT", "secure": False}])
        _sample(running, PLAIN)
        connected.answer(connected.receive(), "retry", message="Traceback: no route to host")
        path = f"/devops/services/{made['id']}/environments/{environment}/tasks?status=retrying"
        while not running.as_vendor("GET", path):
            pause()
    return environment


def _answer(request: ReceivedRequest, down: set[str]) -> Any:
    if request.path in down:
        return 503, b'{"error": "The provisioning system is down for maintenance."}'
    if request.path == "/judge":
        params = [{"id": "data_region", "value_error": "We have no room there."}]
        return 200, json.dumps({"asset": {"params": params}}).encode()
    return 200, b'{"status": "accepted"}'


def _webhook(
    running: Sandbox, served: Handler, path: str, label: str, product: str, **more: Any
) -> str:
    body = {
        "label": label,
        "product_id": product,
        "object_class": "fulfillment_request",
        "external_url": f"{served.url}{path}",
        "jwt_secret": f"JWT-{uuid.uuid4()}",
        **more,
    }
    return str(running.as_vendor("POST", "/notifications/webhooks", body)["id"])


def _sample(running: Sandbox, product: str, **more: Any) -> str:
    body = {"queue": "fulfillment", "type": "purchase", "product": product, **more}
    response = running.call("POST", "/sandbox/queue/samples", body)
    assert response.ok, response.text
    return str(response.json()["id"])


def _trace(running: Sandbox, since: str, pk: str) -> str:
    """Send the trace of a failed test to the sandbox, and return its id."""
    body = {
        "name": "tests/test_orders.py::test_order_is_approved",
        "since": since,
        "seed": 7,
        "versions": {"pytest-connect-sim": "0.1.0", "python": "3.13.1"},
        "report": "E  ExpectationError: Expected the order to be approved.",
        "failures": [
            {
                "text": f"Expected {pk} to be approved within 5 s; it is pending.",
                "object": pk,
                "webhook": None,
                "reasons": [],
                "near_misses": [],
                "evidence": [{"title": "Response", "lines": ["HTTP 200 after 8 ms", "{}"]}],
            }
        ],
    }
    made = running.call("POST", "/sandbox/trace-file", body)
    shown = running.http.post(
        f"{running.url}/sandbox/traces",
        files={"file": ("it.connect-sim-trace", made.content)},
        headers={"Authorization": f"ApiKey {running.vendor_key}"},
        timeout=30,
    )
    assert shown.ok, shown.text
    return str(shown.json()["id"])


def _handled(running: Sandbox) -> str:
    """Act on a request as its handler: an approval is rejected, because a parameter is missing."""
    pk = _sample(running, PLAIN)
    running.advance("1s")
    running.as_vendor("GET", "/requests?status=pending&limit=2")
    assert running.call("POST", f"/public/v1/requests/{pk}/approve", {}).status_code == 400
    params = [{"id": "activation_id", "value": "ACT-4711"}]
    running.as_vendor("PUT", f"/requests/{pk}", {"asset": {"params": params}})
    running.as_vendor("POST", f"/requests/{pk}/approve", {})
    return pk


def _arm_faults(running: Sandbox, webhook: str) -> socket.socket:
    """Arm faults, one of which has expired; return the connection of a call that one holds."""
    slow = {"kind": "latency", "parameters": {"ms": 400, "jitter": 100}, "probability": 0.5}
    failing = {"kind": "abort", "parameters": {"status": 429, "retry_after": 1}, "nth": [1, 3]}
    for body in (
        {"name": "slow handler", "webhook": webhook, **slow},
        {"path": "/requests/*/approve", "method": "POST", "times": 2, **failing},
        {"kind": "drop", "side": "api", "path": "/nowhere", "ttl": 0.001},
    ):
        assert running.call("POST", "/sandbox/faults", body).status_code == 201
    hold = running.call("POST", "/sandbox/faults", {"kind": "hold", "path": "/tier/accounts/*"})
    host, _, port = running.url.removeprefix("http://").partition(":")
    line = socket.create_connection((host, int(port)), timeout=20)
    head = "GET /public/v1/tier/accounts/TA-0000-0000-0000 HTTP/1.1\r\nHost: localhost\r\n"
    line.sendall(f"{head}Authorization: ApiKey {running.vendor_key}\r\n\r\n".encode())
    shown = f"/sandbox/faults/{hold.json()['id']}?held=1&timeout=20"
    assert len(running.call("GET", shown).json()["held"]) == 1
    return line


def _until_called(running: Sandbox, webhook: str) -> None:
    while not running.as_vendor("GET", f"/notifications/webhooks/{webhook}")["stats"]["triggers"]:
        pause()
