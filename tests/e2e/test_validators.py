"""Validators end to end: both parties call a sandbox's API, and a handler process responds.

Each type from the creation of its request to the approval.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests import orders
from tests.e2e import validating
from tests.e2e.validating import SUITE, VALIDATORS, Flow, Json, Validator, timeless
from tests.marks import nightly
from tests.processes import Sandbox

BACKUP, METER = "PRD-814-505-018", "PRD-590-284-731"

# Both classes of objects, drafts and inquiries, both levels; `make nightly` runs all types.
SAMPLE = {
    "validator", "change_inquiring_validator", "draft_tcr_t1_val", "tcr_setup_t2_inq_val",
    "tcr_update_t1_validator",
}  # fmt: skip
_OTHERS = "tests/webhooks/test_types.py has trigger and capabilities of each type"
SAMPLED = [name if name in SAMPLE else nightly(name, reason=_OTHERS) for name in VALIDATORS]
CLAIMS = {
    "webhook_id", "webhook_name", "object_class", "account_id", "product_id", "api_url",
    "triggered_at", "last_success_at", "last_failure_at", "processing_timeout", "data", "exp",
}  # fmt: skip
STRUCTURED = {
    "message": {"id": "NS-17", "external_id": "not_known", "value": "Not known here."},
    "context": {"field": "address"},
}
PHONE = {"country_code": "+34", "area_code": "91", "phone_number": "5550118", "extension": ""}
CHOICES = [{"value": "us", "label": "United States"}, {"value": "mars", "label": "Mars"}]
NO_CALLS = {"events": 0, "triggers": 0, "success_triggers": 0, "failure_triggers": 0,
            "failure_since_last_success": 0, "out_of_order": False}  # fmt: skip


@pytest.fixture(scope="module")
def running(running: Sandbox) -> Sandbox:
    validating.add_tier_parameters(running)
    return running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    with validating.validator(tmp_path_factory.mktemp("handler")) as served:
        yield served


@pytest.fixture
def hook(running: Sandbox, served: Validator, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Create webhooks for one test."""
    created: list[Json] = []

    def make(type_: str, **more: Any) -> Json:
        created.append(validating.hook(running, served, type_, **more))
        return created[-1]

    served.rules()
    yield make
    validating.drop(running, *created)


def edits(flow: Flow) -> Json:
    """Return all the fields of a parameter that a handler may change."""
    return {
        flow.names["wrong"]: {"value_error": "Not known.", "structured_error": STRUCTURED},
        flow.names["text"]: {
            "value": "Harbour",
            "constraints": {"hidden": True, "readonly": True},
        },
        flow.names["phone"]: {"structured_value": PHONE},
        flow.names["choice"]: {"value": "mars", "value_choices": CHOICES},
    }


def edited(flow: Flow, sent: Json) -> Json:
    """Return the expected result of the sent object and those edits."""
    expected = copy.deepcopy(sent)
    params = flow.params(expected)
    for pk, changes in edits(flow).items():
        rules = changes.pop("constraints", {})
        params[pk].update(changes)
        params[pk]["constraints"].update(rules)
    params[flow.names["phone"]]["value"] = "+34915550118"
    return expected


def not_to_be_taken(flow: Flow) -> Json:
    """Return edits of other fields of a response, which are ignored."""
    if flow.base == "/requests":
        return {
            "status": "approved",
            "type": "cancel",
            "note": "By the handler.",
            "asset.status": "terminated",
            "asset.items.0.quantity": "99",
            "asset.tiers.customer.name": "Somebody else",
            "asset.external_id": "X-1",
        }
    return {
        "status": "approved",
        "type": "adjustment",
        "notes": "By the handler.",
        "configuration.status": "active",
        "configuration.account.name": "Somebody else",
        "configuration.tier_level": 3,
    }


@pytest.fixture(scope="class")
def hooks(running: Sandbox, served: Validator) -> Iterator[dict[str, Json]]:
    """A webhook of each type, of which only one must be called."""
    created = {name: validating.hook(running, served, name) for name in VALIDATORS}
    yield created
    validating.drop(running, *created.values())


class TestEachType:
    @pytest.mark.parametrize("name", SAMPLED)
    def test_request_is_validated_corrected_and_approved(
        self, running: Sandbox, served: Validator, hooks: dict[str, Json], name: str
    ) -> None:
        flow = validating.begin(running, VALIDATORS[name])
        before = flow.read()

        extra = [{"id": "unheard_of", "value": "1", "value_error": "Not ours."}]
        also = not_to_be_taken(flow)
        served.rules(**{name: {"params": edits(flow), "extra": extra, "also": also}})
        response = flow.validate()
        assert response.status_code == 200, response.text
        (call,) = served.received(flow.pk)
        self.check_call(call, running, hooks[name], before)
        assert timeless(response.json()) == timeless(edited(flow, before))
        assert flow.read() == running.as_distributor("GET", flow.path) == response.json()
        self.check_counters(running, hooks[name], call)

        # The handler's minimal response clears the error, and changes nothing else.
        wrong = flow.names["wrong"]
        clean = {wrong: {"value_error": ""}}
        served.rules(**{name: {"minimal": True, "params": clean}})
        before = flow.validate().json()
        assert "structured_error" not in flow.params(before)[wrong]
        expected = edited(flow, call["body"])
        del flow.params(expected)[wrong]["structured_error"]
        flow.params(expected)[wrong]["value_error"] = ""
        assert timeless(before) == timeless(expected)

        # The distributor's form: one value is refused, the next one is valid.
        served.rules(**{name: {"wrong": {wrong: ["no@example.com", "Not this one."]}}})
        refused = flow.validate({"id": wrong, "value": "no@example.com"}).json()
        assert flow.params(refused)[wrong]["value_error"] == "Not this one."
        right = {"id": wrong, "value": "yes@example.com"}
        param = flow.params(flow.validate(right).json())[wrong]
        assert (param["value"], param["value_error"]) == ("yes@example.com", "")
        sent = [flow.params(g["body"])[wrong]["value"] for g in served.received(flow.pk)]
        assert sent[2:] == ["no@example.com", "yes@example.com"]

        flow.as_distributor("PUT", flow.body(right))
        flow.leave()
        approved = flow.params(flow.approve())
        assert [approved[flow.names[role]]["value"] for role in ("wrong", "text", "choice")] == [
            "yes@example.com",
            "Harbour",
            "mars",
        ]
        assert {g["path"] for g in served.received(flow.pk)} == {f"/{name}"}
        stats = validating.read_hook(running, hooks[name])["stats"]
        assert stats == NO_CALLS | {"events": 4, "triggers": 4, "success_triggers": 4}

    def check_call(self, request: Json, running: Sandbox, webhook: Json, object_: Json) -> None:
        assert (request["method"], request["content_type"]) == ("POST", "application/json")
        assert sorted(request["headers"]) == [
            "accept",
            "accept-encoding",
            "authentication",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
        ]
        # The payload is exactly the response of the vendor's GET.
        assert request["body"] == object_
        claims = request["claims"]
        assert set(claims) == CLAIMS and request["refused"] == ""
        triggered = datetime.fromisoformat(claims["triggered_at"])
        assert claims["exp"] == triggered.timestamp() + 600
        assert claims == {
            "webhook_id": webhook["id"],
            "webhook_name": webhook["label"],
            "object_class": f"{webhook['object_class']}s",
            "account_id": "VA-610-138",
            "product_id": SUITE,
            "api_url": f"{running.url}/public/v1",
            "triggered_at": claims["triggered_at"],
            "last_success_at": None,
            "last_failure_at": None,
            "processing_timeout": 600,
            "data": {"tenant": "lab"},
            "exp": claims["exp"],
        }

    def check_counters(self, running: Sandbox, webhook: Json, request: Json) -> None:
        hook = validating.read_hook(running, webhook)
        assert hook["stats"] == NO_CALLS | {"events": 1, "triggers": 1, "success_triggers": 1}
        assert hook["last_event"] == request["claims"]["triggered_at"]
        assert hook["last_failure"] is None
        last = hook["last_success"]
        assert (last["status"], last["status_code"], last["errors"]) == ("success", 200, "")
        assert last["response"]["headers"]["Content-Type"] == "application/json"
        assert json.loads(last["response"]["body"])["id"] == request["body"]["id"]


def check_not_called(running: Sandbox, served: Validator, flow: Flow, *hooks: Json) -> None:
    """Check that a validation returns the object unchanged and calls no webhook."""
    before, called = flow.read(), len(served.received())
    response = flow.validate()
    assert (response.status_code, response.json()) == (200, before)
    assert flow.read() == before
    assert len(served.received()) == called
    for webhook in hooks:
        hook = validating.read_hook(running, webhook)
        assert (hook["stats"], hook["last_event"]) == (NO_CALLS, None)


class TestNoValidatorIsCalled:
    def test_webhook_of_another_product_is_not_called(
        self, running: Sandbox, served: Validator, hook: Any
    ) -> None:
        # Both products validate changes.
        other = hook("change_validator", product_id=METER)
        flow = validating.begin(running, VALIDATORS["change_validator"])
        check_not_called(running, served, flow, other)

    @pytest.mark.parametrize(
        ("party", "product", "error"),
        [
            ("provider", SUITE, "type: Validators are for vendors only."),
            ("vendor", BACKUP, f"type: {BACKUP} does not have the capability cart.validation, so "
             "webhooks of type validator are never called. Switch it on first."),
        ],
    )  # fmt: skip
    def test_validator_that_would_never_be_called_is_refused(
        self, running: Sandbox, served: Validator, party: str, product: str, error: str
    ) -> None:
        body = {
            "label": "No",
            "product_id": product,
            "type": "validator",
            "jwt_secret": orders.SECRET,
            "object_class": "fulfillment_request",
            "external_url": served.url,
        }
        key = getattr(running, f"{party}_key")
        response = running.call("POST", "/public/v1/notifications/webhooks", body, key=key)
        assert (response.status_code, response.json()) == (
            400,
            {"error_code": "VAL_001", "errors": [error]},
        )

    def test_webhook_without_capability_is_not_called(
        self, running: Sandbox, served: Validator, hook: Any
    ) -> None:
        webhook = hook("validator")
        flow = validating.draft(running)
        switch(running, False)
        try:
            check_not_called(running, served, flow, webhook)
        finally:
            switch(running, True)
        assert flow.validate().status_code == 200
        assert len(served.received(flow.pk)) == 1


def switch(running: Sandbox, is_on: bool) -> None:
    """Change as its vendor whether drafts of the suite are validated."""
    body = {"capabilities": {"cart": {"validation": is_on}}}
    running.as_vendor("PUT", f"/products/{SUITE}", body)
