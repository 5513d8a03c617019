"""Validators that are down, slow or wrong: errors are reported, and the order continues."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests import orders
from tests.e2e import validating
from tests.e2e.validating import Flow, Json, Validator, timeless
from tests.processes import Sandbox, restart, sandbox

LIMIT = 1.0
FAILED = {"events": 1, "triggers": 1, "success_triggers": 0, "failure_triggers": 1,
          "failure_since_last_success": 1, "out_of_order": False}  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with sandbox(folder, SIM_VALIDATION_TIMEOUT=str(LIMIT)) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    with validating.validator(tmp_path_factory.mktemp("handler")) as served:
        yield served


@pytest.fixture
def hook(running: Sandbox, served: Validator) -> Iterator[Json]:
    served.rules()
    webhook = validating.hook(running, served, "validator")
    yield webhook
    validating.drop(running, webhook)


@pytest.fixture
def flow(running: Sandbox) -> Flow:
    return validating.draft(running)


@pytest.fixture(scope="module")
def untouched(running: Sandbox) -> Flow:
    """A draft that validations do not change."""
    return validating.draft(running)


def raw(body: bytes, **more: Any) -> Json:
    """Return the rule of a response that does not depend on the request."""
    return {"base64": base64.b64encode(body).decode(), **more}


def params(*entries: Any) -> Json:
    return {"json": {"asset": {"params": list(entries)}}}


PHONE = {"id": "security_phone"}
# Behaviors of a handler, and words of the distributor's message. tests/webhooks/test_validation.py
# and tests/unit/requests_queue/queues/test_validator_responses.py have more.
WRONG: dict[str, tuple[Json, str]] = {
    "hangs": ({"hold": True}, "Timed out after 1 s."),
    "500": ({"status": 500, "json": {}}, "Handler returned HTTP 500 (expected 2xx)."),
    "401": ({"status": 401}, "Handler returned HTTP 401 (expected 2xx)."),
    "HTML": (raw(b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
             "Handler returned HTTP 200, but the body is not JSON"),
    "HTML of 204 bytes": (raw(b"<" * 204), "begins with '<<<<"),
    "empty": (raw(b""), "Handler returned HTTP 200, but the body is empty."),
    "blank": (raw(b" \n"), "Handler returned HTTP 200, but the body is empty."),
    "number": ({"json": 7}, "the body is not an object."),
    "string": ({"json": "ok"}, "the body is not an object."),
    "null": ({"json": None}, "the body is not an object."),
    "NaN": (raw(b'{"asset": {"params": [{"id": "company_alias", "value": NaN}]}}'),
            "NaN is not JSON."),
    "cut": (raw(b'{"asset": {"params": ['), "the body is not JSON"),
    "too deep": (raw(b'{"a": ' + b"[" * 100_000), "JSON"),
    "another asset": ({"also": {"asset.id": "AS-0000-0000-0000"}},
                      "the body is another object: its asset.id is 'AS-0000-0000-0000'."),
    "an id of another type": ({"also": {"id": 17}}, "the body is another object: its id is '17'."),
    "gzip": (raw(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
             "its Content-Encoding is 'gzip': send it without compression."),
    "gzip that doesn't say so": (raw(gzip.compress(b"{}")), "the JSON cannot be used"),
    "invalid UTF-8": (raw(b'{"note": "\xff\xfe"}'), "the JSON cannot be used"),
    "NUL": ({"json": {"note": "a\0b"}}, "the JSON cannot be used"),
    "a lone surrogate": (raw(b'{"note": "\\ud800"}'), "the JSON cannot be used"),
    "an error as a list": (params({"id": "admin_email", "value_error": ["No."]}),
                           "Parameter admin_email: value_error is a list, not a string."),
    "constraints as a list": (params({"id": "admin_email", "constraints": []}),
                              "constraints is a list, not an object."),
}  # fmt: skip


def message(response: Any) -> str:
    """Return the reason of a failed validation."""
    assert response.status_code == 400, response.text
    assert set(response.json()) == {"error_code", "errors"}
    assert response.json()["error_code"] == "VAL_100"
    general, detail = response.json()["errors"]
    assert general == "Validation service is not available."
    return str(detail)


def goes_on(flow: Flow) -> None:
    """Check that the order can be bought and approved after failed validations."""
    flow.leave()
    flow.approve()


class TestWrong:
    @pytest.mark.parametrize("name", WRONG)
    def test_error_is_returned_and_nothing_changes(
        self, running: Sandbox, served: Validator, hook: Json, untouched: Flow, name: str
    ) -> None:
        rule, words = WRONG[name]
        served.rules(validator=rule)
        before, began = untouched.read(), time.monotonic()
        error = message(untouched.validate({"id": "company_alias", "value": "Nobody"}))
        assert words in error and served.url not in error
        assert time.monotonic() - began < LIMIT + 1
        # The body of a failed validation is not stored either.
        assert untouched.read() == before
        assert len(served.received(hook["id"])) == 1
        hook_body = validating.read_hook(running, hook)
        assert (hook_body["stats"], hook_body["last_success"]) == (FAILED, None)
        assert hook_body["last_failure"]["status"] == "failure"
        # The vendor's message also has the address; the distributor's has the rest.
        assert hook_body["last_failure"]["errors"][:20] == error[:20]
        assert hook_body["earliest_possible_trigger"] is None
        served.release()

    @pytest.mark.parametrize("name", ["hangs", "500", "HTML"])
    def test_order_continues_after_a_failure(
        self, served: Validator, hook: Json, flow: Flow, name: str
    ) -> None:
        served.rules(validator=WRONG[name][0])
        message(flow.validate())
        served.release()
        goes_on(flow)

    def test_kill_of_the_sandbox_during_a_validation(
        self, running: Sandbox, served: Validator, hook: Json, flow: Flow
    ) -> None:
        served.rules(validator={"hold": True, "params": {"company_alias": {"value": "Lost"}}})
        before = flow.read()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(flow.validate)
            served.until_received(1, flow.pk)
            running.process.kill()
            assert isinstance(waiting.exception(10), requests.ConnectionError)
        served.release()
        restart(running)
        orders.until_stats(running, hook["id"], triggers=1)
        running.advance("1d")
        # The outcome is unknown, and the request is not repeated.
        assert orders.stats(running, hook["id"]) == FAILED | {
            "failure_triggers": 0,
            "failure_since_last_success": 0,
        }
        assert len(served.received(flow.pk)) == 1
        assert flow.read() == before
        served.rules()
        assert flow.validate().status_code == 200
        goes_on(flow)


# Unusual, but valid responses.
SAFE: dict[str, Json] = {
    "an empty object": {"json": {}},
    "null for params": {"json": {"asset": {"params": None}}},
    "no params": {"json": {"asset": {}}},
    "null for the asset": {"json": {"asset": None}},
    "null for ids": {"also": {"id": None, "asset.id": None}},
    "a parameter without an id": params({"value": "1"}, {"id": None, "value": "1"}),
    "an unknown parameter": params({"id": "unheard_of", "value_error": "No."}),
    "another status": {"also": {"status": "approved", "asset.status": "active"}},
    "keys that nobody knows": {"also": {"ok": True, "asset.warnings": ["a", "b"]}},
    "201": {"status": 201},
    "an encoding that is none": {"headers": {"Content-Encoding": "identity"}},
    "a type that isn't JSON": {"headers": {"Content-Type": "text/plain"}},
    "nulls in a parameter": params(
        {"id": "admin_email", "value_error": None, "structured_error": None, "constraints": None,
         "value_choices": None, "structured_value": None}
    ),
}  # fmt: skip


class TestOdd:
    @pytest.mark.parametrize("name", SAFE)
    def test_nothing_changes(
        self, running: Sandbox, served: Validator, hook: Json, untouched: Flow, name: str
    ) -> None:
        served.rules(validator=SAFE[name])
        before = untouched.read()
        response = untouched.validate()
        assert response.status_code == 200, response.text
        assert timeless(response.json()) == timeless(before)
        stats = orders.stats(running, hook["id"])
        assert (stats["success_triggers"], stats["failure_triggers"]) == (1, 0)

    def test_byte_order_mark_is_ignored(self, served: Validator, hook: Json, flow: Flow) -> None:
        edit = {"asset": {"params": [{"id": "company_alias", "value": "Harbour"}]}}
        served.rules(validator=raw(b"\xef\xbb\xbf" + json.dumps(edit).encode()))
        params = flow.params(flow.validate().json())
        assert params["company_alias"]["value"] == "Harbour"
