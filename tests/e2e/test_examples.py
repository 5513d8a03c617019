"""The examples run: orders are approved at the first attempt, also after an outage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from tests import orders
from tests.engines import until
from tests.examples import Example, command, example
from tests.orders import subscribed
from tests.processes import Sandbox, output, run

METER, SUITE = "PRD-590-284-731", "PRD-362-917-440"


NODE = pytest.param("node", marks=pytest.mark.node)
HANDLERS = ["python", NODE, "php"]


@pytest.fixture(scope="module", params=HANDLERS)
def handler(
    request: pytest.FixtureRequest, running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """An example that runs, for tests that don't stop it."""
    with example(running, request.param, tmp_path_factory.mktemp("example")) as handler:
        yield handler


@pytest.fixture
def empty(running: Sandbox) -> None:
    """Remove pending requests of the demo data, which would be approved too."""
    for product in (orders.PLAIN, METER, SUITE):
        query = f"?in(status,(pending,inquiring))&asset.product.id={product}"
        for request in running.as_vendor("GET", f"/requests{query}"):
            running.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})


def until_approved(running: Sandbox, request: str) -> None:
    """Wait until a request is approved, without moving the clock."""
    until(lambda: read(running, f"/requests/{request}")["status"] == "approved", "it is approved")


def read(running: Sandbox, path: str) -> Any:
    return running.as_vendor("GET", path)


def test_order_is_approved_at_the_first_attempt(
    running: Sandbox, empty: None, handler: Example
) -> None:
    with subscribed(running, handler.url) as hook:
        request = orders.purchase(running)
        assert (request["status"], request["asset"]["status"]) == ("pending", "processing")
        until_approved(running, request["id"])
        approved = read(running, f"/requests/{request['id']}")
        asset = read(running, f"/assets/{request['asset']['id']}")
        # One event for the order and one for the handler's own approval.
        orders.until_stats(
            running, hook, events=2, triggers=2, success_triggers=2, failure_triggers=0
        )
    assert approved["template"]["id"] == "TL-213-870-001"
    assert approved["effective_date"]
    filled = {p["id"]: p["value"] for p in approved["asset"]["params"]}
    assert filled["activation_id"] == f"activation_id-{request['id']}"
    # Only values of required parameters are generated.
    assert filled["console_url"] == ""
    assert asset["status"] == "active"
    assert asset["params"] == approved["asset"]["params"]


def test_concurrent_orders_are_each_approved_once(
    running: Sandbox, empty: None, handler: Example
) -> None:
    with subscribed(running, handler.url, METER) as hook:
        requests = [orders.purchase(running, METER) for _ in range(5)]
        for request in requests:
            until_approved(running, request["id"])
        orders.until_stats(running, hook, events=10, triggers=10, success_triggers=10)
    lines = handler.process.printed.splitlines()
    approved = [line.split()[1] for line in lines if "approved" in line]
    assert all(approved.count(request["id"]) == 1 for request in requests)


@pytest.mark.parametrize("language", HANDLERS)
def test_delivery_is_retried_after_the_handler_was_down(
    running: Sandbox, empty: None, language: str, tmp_path: Path
) -> None:
    with example(running, language, tmp_path) as handler, subscribed(running, handler.url) as hook:
        handler.process.kill()
        path = f"/notifications/webhooks/{hook}"
        request = orders.purchase(running)
        orders.until_stats(running, hook, triggers=1, failure_triggers=1)
        first = read(running, path)
        assert first["last_failure"]["status_code"] is None
        assert "refused" in first["last_failure"]["errors"].lower()
        assert _backoff_after(first) in (300, 301)

        running.advance("5m5s")
        orders.until_stats(running, hook, triggers=2, failure_triggers=2)
        second = read(running, path)
        assert _backoff_after(second) in (600, 601)
        assert second["stats"]["failure_since_last_success"] == 2

        handler.start()
        assert read(running, f"/requests/{request['id']}")["status"] == "pending"
        running.advance("10m5s")
        # The retry, and the event of the resulting approval.
        orders.until_stats(
            running,
            hook,
            events=2,
            triggers=4,
            success_triggers=2,
            failure_triggers=2,
            failure_since_last_success=0,
        )
        after = read(running, path)
    assert after["earliest_possible_trigger"] is None
    assert read(running, f"/requests/{request['id']}")["status"] == "approved"
    assert read(running, f"/assets/{request['asset']['id']}")["status"] == "active"


def test_request_with_invalid_token_gets_401(
    running: Sandbox, empty: None, handler: Example
) -> None:
    tokens = {
        "none": None,
        "garbage": "garbage",
        "forged": _token(running, secret=orders.SECRET[::-1]),
        "expired": _token(running, seconds=-60),
        "unsigned": _token(running, secret="", algorithm="none"),
        # The response 200 of this one shows that the claims are valid.
        "good": _token(running),
    }
    responses = {name: _called(handler.url, token) for name, token in tokens.items()}
    assert responses == {name: 200 if name == "good" else 401 for name in tokens}


def test_refusal_by_the_api_fails_the_delivery_until_it_ends(
    running: Sandbox, empty: None, handler: Example
) -> None:
    refusal = {"kind": "abort", "path": "/requests", "parameters": {"status": 403}}
    fault = running.call("POST", "/sandbox/faults", refusal).json()["id"]
    try:
        assert _called(handler.url, _token(running)) == 500
        assert "GET /requests?and(eq(status,pending)" in handler.process.printed
        assert ": 403 " in handler.process.printed
    finally:
        running.call("DELETE", f"/sandbox/faults/{fault}")
    # It has retried on its own until now, and would approve an order of the next test.
    until(lambda: _called(handler.url, _token(running)) == 200, "it processes orders again")


def test_order_is_validated_until_valid_then_approved(
    running: Sandbox, empty: None, handler: Example
) -> None:
    """One process serves both webhooks of a product: the validator and the queue's."""
    with (
        subscribed(running, handler.url, SUITE) as hook,
        subscribed(running, handler.url, SUITE, type="validator") as validator,
    ):
        # A configured reseller, so that the order does not wait for a setup.
        body = {"queue": "fulfillment", "product": SUITE, "draft": True}
        pk = running.call("POST", "/sandbox/queue/samples", body).json()["id"]
        assert _validated(running, pk, customer_domain="gmail.com", data_region="uk") == {
            "customer_domain": "Take a domain of your own.",
            "data_region": "Advanced edition only.",
        }
        assert _validated(running, pk, customer_domain="cafe.example.com", edition="advanced") == {
            "siem_url": "Where do alerts go?"
        }
        assert _required(running, pk, "siem_url")
        # A valid value clears its error; the handler clears it, too.
        assert _validated(running, pk, edition="standard") == {
            "data_region": "Advanced edition only."
        }
        assert not _required(running, pk, "siem_url")
        siem = "https://siem.cafe.example.com/"
        assert _validated(running, pk, edition="advanced", siem_url=siem) == {}
        assert orders.stats(running, hook)["events"] == 0

        running.as_distributor("POST", f"/requests/{pk}/purchase", {})
        until_approved(running, pk)
        orders.until_stats(running, hook, triggers=2, success_triggers=2)
        orders.until_stats(running, validator, events=4, triggers=4, success_triggers=4)


def test_validator_leaves_unknown_parameters_alone(running: Sandbox, handler: Example) -> None:
    token = _token(running)
    known = {"id": "customer_domain", "value": "gmail.com", "value_error": ""}
    unknown = {"id": "color", "value": None, "value_error": "Not a color."}
    for params in ([], [unknown], [known, unknown]):
        order = {"asset": {"params": params}}
        edited = {"value_error": "Take a domain of your own."}
        expected = [{**p, **edited} if p is known else p for p in params]
        response = _call(handler.url, token, order)
        assert response.status_code == 200
        assert response.json() == {"asset": {"params": expected}}


@pytest.mark.parametrize("language", HANDLERS)
def test_pending_order_is_approved_at_the_start(
    running: Sandbox, empty: None, language: str, tmp_path: Path
) -> None:
    """No call is needed, where the environment says what to process."""
    request = orders.purchase(running)
    known = {"CONNECT_API_URL": f"{running.url}/public/v1", "PRODUCT_ID": orders.PLAIN}
    with example(running, language, tmp_path, **known) as handler:
        if language == "php":
            # A page has no start: its command line processes what is pending.
            output(["php", command("php")[-1]], handler.process.env)
        until_approved(running, request["id"])
        assert _called(handler.url, _token(running, METER)) == 403


@pytest.mark.parametrize("language", HANDLERS)
def test_handler_without_a_secret_does_not_start(running: Sandbox, language: str) -> None:
    """Anybody could sign with an empty one."""
    first, *_, file = command(language)
    ended = run([first, file], {**running.process.env, "CONNECT_API_KEY": "x", "JWT_SECRET": ""})
    assert ended.returncode == 1 and "JWT_SECRET" in ended.stderr


def _validated(running: Sandbox, pk: str, **values: str) -> dict[str, str]:
    """Change and validate a draft, and return the errors of its parameters."""
    params = [{"id": name, "value": value} for name, value in values.items()]
    body = {"asset": {"params": params}}
    request = running.as_distributor("POST", f"/requests/{pk}/validate", body)
    return {p["id"]: p["value_error"] for p in request["asset"]["params"] if p["value_error"]}


def _required(running: Sandbox, pk: str, name: str) -> bool:
    params = read(running, f"/requests/{pk}")["asset"]["params"]
    return {p["id"]: p["constraints"]["required"] for p in params}[name]


def _token(
    running: Sandbox,
    product: str = orders.PLAIN,
    *,
    secret: str = orders.SECRET,
    algorithm: str = "HS256",
    seconds: int = 600,
) -> str:
    """Return a token of a webhook of a product, which is valid for so many seconds."""
    claims = {
        "webhook_id": "WH-000-000-001",
        "product_id": product,
        "api_url": f"{running.url}/public/v1",
        "exp": int(time.time()) + seconds,
    }
    return jwt.encode(claims, secret, algorithm)


def _called(url: str, token: str | None) -> int:
    return _call(url, token, {}).status_code


def _call(url: str, token: str | None, body: Any) -> requests.Response:
    headers = {"Authentication": f"Bearer {token}"} if token else {}
    return requests.post(url, json=body, headers=headers, timeout=10)


def _backoff_after(webhook: dict[str, Any]) -> float:
    """Return the backoff of a webhook in seconds after the failed attempt.

    It may be one more, because times have no fractions and the backoff is rounded up.
    """
    backoff_until = datetime.fromisoformat(webhook["earliest_possible_trigger"])
    return (backoff_until - datetime.fromisoformat(webhook["last_failure"]["time"])).total_seconds()
