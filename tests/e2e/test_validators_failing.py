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
from tests.e2e.validating import VALIDATORS, Flow, Json, Validator, timeless
from tests.marks import nightly
from tests.processes import Sandbox, free_port, restart, sandbox

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
# Behaviors of a handler, and words of the distributor's message.
WRONG: dict[str, tuple[Json, str]] = {
    "hangs": ({"hold": True}, "Timed out after 1 s."),
    "500": ({"status": 500, "json": {}}, "Handler returned HTTP 500 (expected 2xx)."),
    "302": ({"status": 302, "headers": {"Location": "/other"}}, "Handler returned HTTP 302"),
    "401": ({"status": 401}, "Handler returned HTTP 401 (expected 2xx)."),
    "400 with a request": ({"status": 400}, "Handler returned HTTP 400 (expected 2xx)."),
    "HTML": (raw(b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
             "Handler returned HTTP 200, but the body is not JSON"),
    "HTML of 204 bytes": (raw(b"<" * 204), "begins with '<<<<"),
    "empty": (raw(b""), "Handler returned HTTP 200, but the body is empty."),
    "blank": (raw(b" \n"), "Handler returned HTTP 200, but the body is empty."),
    "204": (raw(b"", status=204), "Handler returned HTTP 204, but the body is empty."),
    "list": ({"json": []}, "the body is not an object. A validator returns the object as JSON."),
    "number": ({"json": 7}, "the body is not an object."),
    "string": ({"json": "ok"}, "the body is not an object."),
    "null": ({"json": None}, "the body is not an object."),
    "NaN": (raw(b'{"asset": {"params": [{"id": "company_alias", "value": NaN}]}}'),
            "NaN is not JSON."),
    "cut": (raw(b'{"asset": {"params": ['), "the body is not JSON"),
    "too deep": (raw(b'{"a": ' + b"[" * 100_000), "JSON"),
    "another object": ({"also": {"id": "PR-0000-0000-0000-001"}},
                       "the body is another object: its id is 'PR-0000-0000-0000-001'."),
    "another asset": ({"also": {"asset.id": "AS-0000-0000-0000"}},
                      "the body is another object: its asset.id is 'AS-0000-0000-0000'."),
    "an id of another type": ({"also": {"id": 17}}, "the body is another object: its id is '17'."),
    "5 MB": (raw(b'{"note": "' + b"x" * 5_000_000 + b'"}'), "the body is longer than 4 MiB."),
    "gzip": (raw(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
             "its Content-Encoding is 'gzip': send it without compression."),
    "gzip that doesn't say so": (raw(gzip.compress(b"{}")), "the JSON cannot be used"),
    "invalid UTF-8": (raw(b'{"note": "\xff\xfe"}'), "the JSON cannot be used"),
    "NUL": ({"json": {"note": "a\0b"}}, "the JSON cannot be used"),
    "a lone surrogate": (raw(b'{"note": "\\ud800"}'), "the JSON cannot be used"),
    "twice the same": (params({"id": "admin_email"}, {"id": "admin_email"}),
                       "Parameter admin_email occurs twice."),
    "params as an object": ({"json": {"asset": {"params": {}}}},
                            "its params are an object, not a list."),
    "a parameter as a string": (params("admin_email"), "Expected an object, got a string."),
    "an error as a list": (params({"id": "admin_email", "value_error": ["No."]}),
                           "Parameter admin_email: value_error is a list, not a string."),
    "a value as a list": (params({"id": "company_alias", "value": [1]}),
                          "Parameter company_alias: value must be a string."),
    "a value outside the choices": (params({"id": "data_region", "value": "mars"}),
                                    "'mars' is not one of us, eu, uk."),
    "choices as a string": (params({"id": "data_region", "value_choices": "us"}),
                            "value_choices is a string, not a list."),
    "choices without values": (params({"id": "data_region", "value_choices": [{"label": "US"}]}),
                               "each of value_choices must be an object with a value"),
    "a constraint as a string": (params({"id": "admin_email", "constraints": {"hidden": "no"}}),
                                 "the constraint hidden must be true or false, not a string."),
    "constraints as a list": (params({"id": "admin_email", "constraints": []}),
                              "constraints is a list, not an object."),
    "a structured error as a string": (params({"id": "admin_email", "structured_error": "No."}),
                                       "structured_error must be an object"),
    "a phone as a list": (params(PHONE | {"structured_value": [1]}),
                          "a phone has no such structured_value."),
    "a text with structure": (params({"id": "company_alias", "structured_value": {"a": 1}}),
                              "a text has no such structured_value."),
}  # fmt: skip


_PARSED = "tests/unit/requests_queue/queues/test_validator_responses.py has the response"
_SENT = "tests/webhooks/test_validation.py has the response"
REPEATED = {
    "302": _SENT, "400 with a request": _SENT, "204": _SENT, "list": _SENT, "5 MB": _SENT,
    "another object": _SENT, "twice the same": _PARSED, "params as an object": _PARSED,
    "a parameter as a string": _PARSED, "a value as a list": _PARSED,
    "a value outside the choices": _PARSED, "choices as a string": _PARSED,
    "choices without values": _PARSED, "a constraint as a string": _PARSED,
    "a structured error as a string": _PARSED, "a phone as a list": _PARSED,
    "a text with structure": _PARSED,
}  # fmt: skip
CASES = [nightly(name, reason=REPEATED[name]) if name in REPEATED else name for name in WRONG]


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
    @pytest.mark.parametrize("name", CASES)
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

    def test_unreachable_handler(self, running: Sandbox, hook: Json, flow: Flow) -> None:
        port = free_port()
        running.as_vendor(
            "PUT",
            f"/notifications/webhooks/{hook['id']}",
            {"external_url": f"http://127.0.0.1:{port}/"},
        )
        before = flow.read()
        error = message(flow.validate())
        assert "Nothing listens" in error or "refused" in error
        assert str(port) not in error and "127.0.0.1" not in error
        assert flow.read() == before
        hook_body = validating.read_hook(running, hook)
        assert (hook_body["stats"], hook_body["last_failure"]["status_code"]) == (FAILED, None)
        assert str(port) in hook_body["last_failure"]["errors"]
        goes_on(flow)

    def test_wrong_secret(self, running: Sandbox, served: Validator, flow: Flow) -> None:
        webhook = validating.hook(
            running, served, "validator", jwt_secret="JWT-not-the-handlers-own"
        )
        assert message(flow.validate()) == "Handler returned HTTP 401 (expected 2xx)."
        (call,) = served.received(flow.pk)
        assert (call["claims"], call["refused"]) == (None, "Signature verification failed")
        validating.drop(running, webhook)

    @pytest.mark.parametrize("name", ["tcr_setup_t1_inq_val", "tcr_update_t2_validator"])
    def test_configuration_of_another_id(
        self, running: Sandbox, served: Validator, name: str
    ) -> None:
        webhook = validating.hook(running, served, name)
        served.rules(**{name: {"also": {"configuration.id": "TC-000-000-000"}}})
        flow = validating.begin(running, VALIDATORS[name])
        before = flow.read()
        assert message(flow.validate()) == (
            "Handler returned HTTP 200, but the body is another object: its configuration.id is "
            "'TC-000-000-000'."
        )
        assert flow.read() == before
        assert validating.read_hook(running, webhook)["stats"] == FAILED
        validating.drop(running, webhook)
        goes_on(flow)

    def test_one_of_two_fails(
        self, running: Sandbox, served: Validator, hook: Json, flow: Flow
    ) -> None:
        # It has its own rule, and validates the same object.
        second = validating.hook(
            running, served, "validator", external_url=f"{served.url}/second", label="Second"
        )
        edit = {"params": {"company_alias": {"value": "Harbour"}}}
        served.rules(validator=edit, second={"status": 503})
        before = flow.read()
        assert message(flow.validate()) == "Handler returned HTTP 503 (expected 2xx)."
        # If one validator fails, the response of the other is not merged.
        assert flow.read() == before
        assert {g["path"] for g in served.received(flow.pk)} == {"/validator", "/second"}
        assert orders.stats(running, hook["id"])["success_triggers"] == 1
        assert orders.stats(running, second["id"]) == FAILED
        validating.drop(running, second)
        goes_on(flow)

    def test_failed_validation_is_not_retried(
        self, running: Sandbox, served: Validator, hook: Json, flow: Flow
    ) -> None:
        rules: list[Json] = [{"hold": True}, {"status": 500}, {"json": []}]
        for rule in rules:
            served.rules(validator=rule)
            message(flow.validate())
        served.rules()
        served.release()
        running.advance("1d")
        assert len(served.received(hook["id"])) == 3
        stats = orders.stats(running, hook["id"])
        assert (stats["events"], stats["failure_triggers"]) == (3, 3)
        assert flow.validate().status_code == 200
        stats = orders.stats(running, hook["id"])
        assert (stats["success_triggers"], stats["failure_since_last_success"]) == (1, 0)
        goes_on(flow)

    @pytest.mark.parametrize("name", ["hangs", "500", "HTML", "another object"])
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

    def test_numbers_become_strings(self, served: Validator, hook: Json, flow: Flow) -> None:
        served.rules(validator=params({"id": "company_alias", "value": 17}))
        assert flow.params(flow.validate().json())["company_alias"]["value"] == "17"

    def test_response_of_3_MB_is_read_and_64_KiB_stored(
        self, running: Sandbox, served: Validator, hook: Json, flow: Flow
    ) -> None:
        edit = {"asset": {"params": [{"id": "company_alias", "value": "Harbour"}]}}
        text = json.dumps({"note": "x" * 3_000_000, **edit})
        served.rules(validator=raw(text.encode()))
        params = flow.params(flow.validate().json())
        assert params["company_alias"]["value"] == "Harbour"
        last = validating.read_hook(running, hook)["last_success"]
        assert last["response"]["body"] == text[:65536]
