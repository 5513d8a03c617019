"""Sample drafts and their validation by the sandbox's API and the command `queue`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from requests_queue.catalog.models import Account, Product
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from tests import program
from tests.api import VENDOR, Caller, caller, refused
from tests.handlers import Handler, ReceivedRequest, handler
from tests.make import Catalog
from tests.sandbox import worlds

pytestmark = pytest.mark.django_db
# The live server sees committed data only.
LIVE_SERVER = pytest.mark.django_db(transaction=True)
SUITE, METER, BACKUP = "PRD-362-917-440", "PRD-590-284-731", "PRD-814-505-018"
# Types that have drafts, and the capability that each requires.
DRAFTS = {
    ("fulfillment_request", "purchase"): "cart.validation",
    ("fulfillment_request", "change"): "subscription.change.validation",
    ("fulfillment_request", "renew"): "subscription.renew.validation",
    ("fulfillment_request", "transfer"): "subscription.transfer.validation",
    ("tier_config_request", "setup"): "tiers.validation",
    ("tier_config_request", "update"): "tiers.configs.update.validation",
}
SAMPLES, VALIDATE = "/sandbox/queue/samples", "/sandbox/queue/validate"


def switch_off(product: Product, path: str) -> None:
    *above, last = path.split(".")
    branch = product.capabilities
    for name in above:
        branch = branch[name]
    branch[last] = False
    product.save()


@pytest.mark.parametrize(("queue", "type_"), DRAFTS)
def test_draft_of_each_type_can_be_created_repeatedly(
    vendor: Caller, distributor: Caller, queue: str, type_: str
) -> None:
    path = {"fulfillment_request": "/requests"}.get(queue, "/tier/config-requests")
    created = set()
    for _ in range(2):
        response = vendor.post(SAMPLES, {"queue": queue, "type": type_, "draft": True})
        assert (response.status, response.json["status"]) == (201, "draft"), response.json
        obj = distributor.get(f"{path}/{response.json['id']}").json
        assert (obj["type"], obj["status"]) == (type_, "draft")
        created.add(obj["id"])
    assert len(created) == 2


@pytest.mark.parametrize(("queue", "type_"), DRAFTS)
def test_draft_of_product_without_capability_is_refused(
    vendor: Caller, queue: str, type_: str
) -> None:
    capability = DRAFTS[queue, type_]
    switch_off(Product.objects.get(pk=SUITE), capability)
    before = base.find_queue(queue).model._default_manager.count()  # type: ignore[union-attr]
    response = vendor.post(
        SAMPLES, {"queue": queue, "type": type_, "product": SUITE, "draft": True}
    )
    refused(response, 400)
    assert capability in response.json["errors"][0]
    assert before == base.find_queue(queue).model._default_manager.count()  # type: ignore[union-attr]


def test_draft_defaults_to_a_product_with_the_capability(vendor: Caller) -> None:
    switch_off(Product.objects.get(pk=SUITE), "subscription.change.validation")
    body = {"queue": "fulfillment", "type": "change", "draft": True}
    assert vendor.post(SAMPLES, body).json["product"] == METER
    switch_off(Product.objects.get(pk=METER), "subscription.change.validation")
    refused(
        vendor.post(SAMPLES, body),
        400,
        "product: No product allows drafts of requests of type change.",
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"queue": "listing"}, "draft: A listing_request is never validated as a draft; "
         "fulfillment_request and tier_config_request are."),
        ({"queue": "fulfillment", "type": "cancel"},
         'type: "cancel" is not one of purchase, change, renew, transfer (drafts).'),
        ({"queue": "tier_config", "type": "adjustment"},
         'type: "adjustment" is not one of setup, update (drafts).'),
        ({"queue": "fulfillment", "draft": "yes"}, "draft: Must be a valid boolean."),
    ],
)  # fmt: skip
def test_type_without_drafts_is_refused(vendor: Caller, body: dict[str, Any], error: str) -> None:
    refused(vendor.post(SAMPLES, {"draft": True, **body}), 400, error)


def test_sample_without_draft_is_pending(vendor: Caller) -> None:
    body = {"queue": "fulfillment", "product": SUITE, "draft": False}
    assert vendor.post(SAMPLES, body).json["status"] == "pending"


def draft(actor: Caller, **more: str) -> str:
    response = actor.post(SAMPLES, {"queue": "fulfillment", "draft": True, **more})
    assert response.status == 201, response.json
    return str(response.json["id"])


def test_validation_without_webhook_calls_no_validator(vendor: Caller) -> None:
    pk = draft(vendor)
    response = vendor.post(VALIDATE, {"id": pk})
    assert response.status == 200
    assert {k: response.json[k] for k in ("id", "status", "product", "called")} == {
        "id": pk,
        "status": "draft",
        "product": SUITE,
        "called": False,
    }
    assert response.json["before"] == response.json["after"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "PR-0000"}, 404),
        ({"id": 1}, 400),
        ({}, 404),
        ({"id": "draft", "data": []}, 400),
        ({"id": "draft", "data": {"asset": {"params": [{"id": "no"}]}}}, 400),
        ({"id": "PR-5810-2277-4101-001"}, 400),
        ({"id": "usage"}, 400),
    ],
)
def test_invalid_input_is_refused(vendor: Caller, body: dict[str, Any], status: int) -> None:
    create = {
        "draft": lambda: draft(vendor),
        "usage": lambda: vendor.post(SAMPLES, {"queue": "usage_file"}).json["id"],
    }
    pk = body.get("id")
    response = vendor.post(VALIDATE, {**body, "id": create[pk]()} if pk in create else body)
    assert response.status == status, response.json
    assert set(response.json) >= {"error_code", "errors"}


def test_validation_of_another_partys_object_is_not_found(vendor: Caller, other: Catalog) -> None:
    pk = draft(vendor)
    for account in (other.vendor, other.provider):
        assert caller(account).post(VALIDATE, {"id": pk}).status == 404


@pytest.fixture
def validating(run_queue: Callable[..., list[str]]) -> Iterator[Handler]:
    """A validator of the suite's purchases; tests set its response."""
    with handler() as served:
        vendor = caller(Account.objects.get(pk=VENDOR))
        worlds.webhook(vendor, served.url, SUITE, type="validator")
        yield served


def responding(*params: dict[str, Any]) -> Callable[[ReceivedRequest], tuple[int, bytes]]:
    return lambda request: (
        200,
        json.dumps({"params": params, "asset": {"params": params}}).encode(),
    )


@LIVE_SERVER
def test_validate_command_prints_changes_of_the_draft(
    run_queue: Callable[..., list[str]], validating: Handler
) -> None:
    pk, status = run_queue("add", "fulfillment", "--draft")[0].split()
    assert status == "draft"
    validating.respond = responding(
        {"id": "siem_url", "constraints": {"required": True}},
        {"id": "data_region", "value_error": "Not offered"},
    )
    assert run_queue("validate", pk) == [
        f"{pk} draft",
        '  data_region = "eu": "Not offered"',
        '  siem_url = "": required true',
    ]
    validating.respond = responding()
    changed = {"asset": {"params": [{"id": "data_region", "value": "us"}]}}
    assert run_queue("validate", pk, "--data", json.dumps(changed)) == [
        f"{pk} draft",
        '  data_region = "us": cleared "Not offered"; was "eu"',
    ]
    assert run_queue("validate", pk) == [f"{pk} draft", "  no errors, no changes"]
    validating.respond = lambda request: 500
    with pytest.raises(program.Failed) as failed:
        run_queue("validate", pk)
    assert str(failed.value) == (
        "Error: POST /sandbox/queue/validate: 400 Validation service is not available. Handler "
        "returned HTTP 500 (expected 2xx)."
    )
    # The validator has made an empty parameter required.
    assert run_queue("move", pk, "purchase") == [f"{pk} inquiring"]
    assert run_queue("move", pk, "fail", "--reason", "Tested.") == [f"{pk} failed"]
    with pytest.raises(program.Failed, match="is failed: validate is for draft or inquiring only"):
        run_queue("validate", pk)
    assert {p["id"]: p["value"] for p in Request.objects.get(pk=pk).params}["data_region"] == "us"


@LIVE_SERVER
def test_validate_command_prints_that_no_validator_was_called(
    run_queue: Callable[..., list[str]],
) -> None:
    pk = run_queue("add", "tier_config", "--draft")[0].split()[0]
    assert run_queue("validate", pk) == [
        f"{pk} draft",
        f"  no validator was called: {SUITE} has no enabled webhook for a validation of this type "
        f"and status, or the capability is off",
    ]


@LIVE_SERVER
def test_validate_command_validates_an_inquiry(run_queue: Callable[..., list[str]]) -> None:
    pk = run_queue("add", "tier_config")[0].split()[0]
    vendor = caller(Account.objects.get(pk=VENDOR))
    wrong = {"params": [{"id": "partner_agreement", "value_error": "Which one?"}]}
    assert vendor.put(f"/tier/config-requests/{pk}", wrong).status == 200
    assert run_queue("move", pk, "inquire") == [f"{pk} inquiring"]
    lines = run_queue("validate", pk)
    assert lines[0] == f"{pk} inquiring"
    assert lines[-1] == '  partner_agreement = "sample partner_agreement": "Which one?"'


@LIVE_SERVER
def test_validate_command_refuses_malformed_data(run_queue: Callable[..., list[str]]) -> None:
    with pytest.raises(program.Failed, match="--data"):
        run_queue("validate", "PR-1", "--data", "{")
    with pytest.raises(program.Failed, match="--data"):
        run_queue("validate", "PR-1", "--data", "[]")
