"""Validators end to end: both parties call a sandbox's API, and a handler process responds.

Each type from the creation of its request to the approval; each reason not to be called.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests import orders, processes
from tests.e2e import validating
from tests.e2e.validating import SUITE, VALIDATORS, Flow, Json, Validator, timeless
from tests.marks import nightly
from tests.processes import Sandbox, manage

BACKUP, METER = "PRD-814-505-018", "PRD-590-284-731"

# The capability that enables each validation, according to Connect's documentation.
CAPABILITIES = {
    "validator": "cart.validation",
    "inquiring_validator": "inquiring.validation",
    "change_validator": "subscription.change.validation",
    "change_inquiring_validator": "subscription.change.inquiring_validation",
    "renew_validator": "subscription.renew.validation",
    "renew_inquiring_validator": "subscription.renew.inquiring_validation",
    "transfer_validator": "subscription.transfer.validation",
    "transfer_inquiring_validator": "subscription.transfer.inquiring_validation",
    "draft_tcr_t1_val": "tiers.validation",
    "draft_tcr_t2_val": "tiers.validation",
    "tcr_setup_t1_inq_val": "tiers.configs.setup.inquiring_validation",
    "tcr_setup_t2_inq_val": "tiers.configs.setup.inquiring_validation",
    "tcr_update_t1_validator": "tiers.configs.update.validation",
    "tcr_update_t2_validator": "tiers.configs.update.validation",
    "tcr_update_t1_inq_val": "tiers.configs.update.inquiring_validation",
    "tcr_update_t2_inq_val": "tiers.configs.update.inquiring_validation",
}
# The first missing capability of a product without capabilities, by type.
FIRST = {
    name: (
        f"subscription.{name.partition('_')[0]}.enable_{name.partition('_')[0]}"
        if name.startswith(("renew", "transfer"))
        else "tiers.configs"
        if "tcr" in name
        else capability
    )
    for name, capability in CAPABILITIES.items()
}
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


def test_types_are_those_of_connect() -> None:
    assert set(VALIDATORS) == set(CAPABILITIES)


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
    def test_disabled_webhook_is_not_called(
        self, running: Sandbox, served: Validator, hook: Any
    ) -> None:
        flow = validating.draft(running)
        disabled, later = hook("validator", active=False), hook("validator")
        running.as_vendor("PUT", f"/notifications/webhooks/{later['id']}", {"active": False})
        check_not_called(running, served, flow, disabled, later)
        running.as_vendor("PUT", f"/notifications/webhooks/{later['id']}", {"active": True})
        assert flow.validate().status_code == 200
        assert [g["claims"]["webhook_id"] for g in served.received(flow.pk)] == [later["id"]]

    def test_deleted_webhook_is_not_called(self, running: Sandbox, served: Validator) -> None:
        flow = validating.draft(running)
        validating.drop(running, validating.hook(running, served, "validator"))
        check_not_called(running, served, flow)

    def test_webhook_of_another_product_is_not_called(
        self, running: Sandbox, served: Validator, hook: Any
    ) -> None:
        # Both products validate changes.
        other = hook("change_validator", product_id=METER)
        flow = validating.begin(running, VALIDATORS["change_validator"])
        check_not_called(running, served, flow, other)

    def test_distributor_cannot_create_a_validator(
        self, running: Sandbox, served: Validator
    ) -> None:
        for name, validator in VALIDATORS.items():
            body = {
                "label": "Mine",
                "product_id": SUITE,
                "type": name,
                "jwt_secret": orders.SECRET,
                "object_class": validator.object_class,
                "external_url": f"{served.url}/{name}",
            }
            response = running.call(
                "POST", "/public/v1/notifications/webhooks", body, key=running.provider_key
            )
            assert response.status_code == 400
            assert response.json()["errors"] == ["type: Validators are for vendors only."]
        check_not_called(running, served, validating.draft(running))

    def test_webhook_of_another_vendor_is_not_called(
        self, running: Sandbox, served: Validator
    ) -> None:
        key = second_vendor(running)
        body = {
            "label": "Theirs",
            "type": "validator",
            "object_class": "fulfillment_request",
            "external_url": f"{served.url}/validator",
            "jwt_secret": orders.SECRET,
        }
        path = "/public/v1/notifications/webhooks"
        refused = running.call("POST", path, {**body, "product_id": SUITE}, key=key)
        assert refused.json()["errors"] == [f"product_id: Product {SUITE} does not exist."]
        created = running.call("POST", path, {**body, "product_id": "PRD-777-777-777"}, key=key)
        assert created.status_code == 201, created.text
        flow = validating.draft(running)
        check_not_called(running, served, flow)
        hook = running.call("GET", f"{path}/{created.json()['id']}", key=key).json()
        assert (hook["stats"], hook["last_event"]) == (NO_CALLS, None)
        # They don't see the object.
        assert running.call("POST", f"/public/v1{flow.path}/validate", {}, key=key).status_code == (
            404
        )

    @pytest.mark.parametrize("name", SAMPLED)
    def test_webhook_without_capability_is_not_called(
        self, running: Sandbox, served: Validator, hook: Any, name: str
    ) -> None:
        webhook = hook(name)
        flow = validating.begin(running, VALIDATORS[name])
        switch(running, CAPABILITIES[name], False)
        try:
            check_not_called(running, served, flow, webhook)
        finally:
            switch(running, CAPABILITIES[name], True)
        assert flow.validate().status_code == 200
        assert len(served.received(flow.pk)) == 1

    @pytest.mark.parametrize("name", ["validator", "draft_tcr_t1_val"])
    def test_event_webhooks_are_not_called(
        self, running: Sandbox, served: Validator, hook: Any, name: str
    ) -> None:
        flow = validating.begin(running, VALIDATORS[name])
        event = hook(name, type="event")
        check_not_called(running, served, flow, event)
        # Creating another request calls none of them either.
        hook(name)
        served.rules(**{name: {"params": edits(flow)}})
        assert flow.params(flow.validate().json())[flow.names["text"]]["value"] == "Harbour"
        assert validating.read_hook(running, event)["stats"] == NO_CALLS
        assert {g["claims"]["webhook_name"] for g in served.received(flow.pk)} == {name}

    @pytest.mark.parametrize(
        "name",
        ["validator", "change_inquiring_validator", "tcr_setup_t2_inq_val",
         "tcr_update_t1_validator"],
    )  # fmt: skip
    def test_pending_request_is_not_validated(
        self, running: Sandbox, served: Validator, hook: Any, name: str
    ) -> None:
        webhook = hook(name)
        flow = validating.begin(running, VALIDATORS[name])
        flow.leave()
        before = flow.read()
        response = flow.validate()
        assert (response.status_code, response.json()["error_code"]) == (400, "REQ_003")
        assert response.json()["errors"] == [
            f"{flow.pk} is pending: validate is for draft or inquiring only."
        ]
        assert flow.read() == before
        assert served.received(flow.pk) == []
        assert validating.read_hook(running, webhook)["stats"] == NO_CALLS


class TestOthersAreNotCalled:
    @pytest.mark.parametrize("name", SAMPLED)
    def test_request_of_another_type_level_or_status_is_not_validated(
        self, running: Sandbox, served: Validator, hooks: dict[str, Json], name: str
    ) -> None:
        flow = validating.begin(running, VALIDATORS[name])
        path = f"/notifications/webhooks/{hooks[name]['id']}"
        running.as_vendor("PUT", path, {"active": False})
        try:
            check_not_called(running, served, flow)
        finally:
            running.as_vendor("PUT", path, {"active": True})
        webhooks = running.as_vendor("GET", "/notifications/webhooks?limit=100")
        stats = {row["label"]: row["stats"] for row in webhooks}
        assert stats == dict.fromkeys(VALIDATORS, NO_CALLS)


class TestCreation:
    @pytest.mark.parametrize("name", VALIDATORS)
    def test_product_without_the_capability_is_refused(
        self, running: Sandbox, served: Validator, hook: Any, name: str
    ) -> None:
        switch(running, CAPABILITIES[name], False)
        try:
            assert lacking(running, served, name, SUITE) == CAPABILITIES[name]
        finally:
            switch(running, CAPABILITIES[name], True)
        webhook = hook(name)
        assert (webhook["type"], webhook["active"], webhook["stats"]) == (name, True, NO_CALLS)

    @pytest.mark.parametrize("name", VALIDATORS)
    def test_plain_product_is_refused(self, running: Sandbox, served: Validator, name: str) -> None:
        assert lacking(running, served, name, BACKUP) == FIRST[name]

    @pytest.mark.parametrize("name", [name for name in VALIDATORS if "_t2_" in name])
    def test_product_of_one_level_is_refused_the_second(
        self, running: Sandbox, served: Validator, name: str
    ) -> None:
        switch(running, "tiers.configs.level", 1)
        try:
            assert lacking(running, served, name, SUITE) == "tiers.configs.level (2)"
        finally:
            switch(running, "tiers.configs.level", 2)


def lacking(running: Sandbox, served: Validator, name: str, product: str) -> str:
    """Return the capability that a webhook of the type requires."""
    body = {
        "label": "No",
        "product_id": product,
        "type": name,
        "jwt_secret": orders.SECRET,
        "object_class": VALIDATORS[name].object_class,
        "external_url": f"{served.url}/{name}",
    }
    response = running.call("POST", "/public/v1/notifications/webhooks", body)
    assert (response.status_code, response.json()["error_code"]) == (400, "VAL_001")
    (message,) = response.json()["errors"]
    before, after = (
        f"type: {product} does not have the capability ",
        (f", so webhooks of type {name} are never called. Switch it on first."),
    )
    assert message.startswith(before) and message.endswith(after)
    return str(message.removeprefix(before).removesuffix(after))


def switch(running: Sandbox, capability: str, value: Any) -> None:
    """Change a capability of the suite as its vendor."""
    body: Any = value
    for key in reversed(capability.split(".")):
        body = {key: body}
    running.as_vendor("PUT", f"/products/{SUITE}", {"capabilities": body})


def second_vendor(running: Sandbox) -> str:
    """Create another vendor with a product that validates; return its API key."""
    script = (
        "from requests_queue.catalog import keys\n"
        "from requests_queue.seed.products import capabilities\n"
        "from tests import make\n"
        "catalog, key = make.catalog('7', capabilities(True)), keys.new_key()\n"
        "keys.store(catalog.vendor, key, 'Second vendor')\n"
        "print(key)"
    )
    done = processes.run(manage("shell", "-c", script), running.process.env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]
