"""Drafts by hand and their validation, over the sandbox's endpoints and by `queue`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from requests_queue import seed
from requests_queue.catalog.models import Account, Product
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from sandbox import sandbox_file
from tests.api import PROVIDER, VENDOR, Caller, caller, refused
from tests.handlers import Got, Handler, handler
from tests.make import World

pytestmark = pytest.mark.django_db
# What asks a server that runs in this process sees only what is committed.
SERVED = pytest.mark.django_db(transaction=True)
SUITE, METER, BACKUP = "PRD-362-917-440", "PRD-590-284-731", "PRD-814-505-018"
# What has drafts, and the capability that each takes.
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


@pytest.mark.parametrize(("queue", "kind"), DRAFTS)
def test_a_draft_of_each_type_can_be_made_again_and_again(
    vendor: Caller, distributor: Caller, queue: str, kind: str
) -> None:
    path = {"fulfillment_request": "/requests"}.get(queue, "/tier/config-requests")
    made = set()
    for _ in range(2):
        answer = vendor.post(SAMPLES, {"queue": queue, "type": kind, "draft": True})
        assert (answer.status, answer.json["status"]) == (201, "draft"), answer.json
        found = distributor.get(f"{path}/{answer.json['id']}").json
        assert (found["type"], found["status"]) == (kind, "draft")
        made.add(found["id"])
    assert len(made) == 2


@pytest.mark.parametrize(("queue", "kind"), DRAFTS)
def test_a_product_without_the_capability_has_no_draft(
    vendor: Caller, queue: str, kind: str
) -> None:
    capability = DRAFTS[queue, kind]
    switch_off(Product.objects.get(pk=SUITE), capability)
    before = base.named(queue).model._default_manager.count()  # type: ignore[union-attr]
    answer = vendor.post(SAMPLES, {"queue": queue, "type": kind, "product": SUITE, "draft": True})
    refused(answer, 400)
    assert capability in answer.json["errors"][0]
    assert before == base.named(queue).model._default_manager.count()  # type: ignore[union-attr]


def test_a_draft_without_a_product_is_of_one_that_has_drafts(vendor: Caller) -> None:
    switch_off(Product.objects.get(pk=SUITE), "subscription.change.validation")
    body = {"queue": "fulfillment", "type": "change", "draft": True}
    assert vendor.post(SAMPLES, body).json["product"] == METER
    switch_off(Product.objects.get(pk=METER), "subscription.change.validation")
    refused(
        vendor.post(SAMPLES, body), 400,
        "product: There is no product that can have a change request as a draft.",
    )  # fmt: skip


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
def test_what_has_no_drafts_says_so(vendor: Caller, body: dict[str, Any], error: str) -> None:
    refused(vendor.post(SAMPLES, {"draft": True, **body}), 400, error)


def test_what_is_no_draft_is_made_as_before(vendor: Caller) -> None:
    body = {"queue": "fulfillment", "product": SUITE, "draft": False}
    assert vendor.post(SAMPLES, body).json["status"] == "pending"


def draft(who: Caller, **more: str) -> str:
    answer = who.post(SAMPLES, {"queue": "fulfillment", "draft": True, **more})
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


def test_without_a_validator_nobody_is_called(vendor: Caller) -> None:
    pk = draft(vendor)
    answer = vendor.post(VALIDATE, {"id": pk})
    assert answer.status == 200
    assert {k: answer.json[k] for k in ("id", "status", "product", "called")} == {
        "id": pk, "status": "draft", "product": SUITE, "called": False,
    }  # fmt: skip
    assert answer.json["before"] == answer.json["after"]


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
def test_bad_input(vendor: Caller, body: dict[str, Any], status: int) -> None:
    made = {
        "draft": lambda: draft(vendor),
        "usage": lambda: vendor.post(SAMPLES, {"queue": "usage_file"}).json["id"],
    }
    pk = body.get("id")
    answer = vendor.post(VALIDATE, {**body, "id": made[pk]()} if pk in made else body)
    assert answer.status == status, answer.json
    assert set(answer.json) >= {"error_code", "errors"}


def test_a_stranger_validates_nothing(vendor: Caller, other: World, nobody: Caller) -> None:
    pk = draft(vendor)
    for account in (other.vendor, other.provider):
        assert caller(account).post(VALIDATE, {"id": pk}).status == 404
    assert nobody.post(VALIDATE, {"id": pk}).status == 401


@pytest.fixture
def commanded(live_server: Any, tmp_path: Path, settings: Any) -> Callable[..., list[str]]:
    """`manage.py queue` of a sandbox that runs in this process; returns the lines it prints."""
    seed.run(lambda line: None)
    keys = [caller(Account.objects.get(pk=pk)).key or "" for pk in (VENDOR, PROVIDER)]
    settings.SIM_DATA_DIR = tmp_path
    sandbox_file.write(tmp_path, sandbox_file.Sandbox(live_server.url, *keys))

    def run(*arguments: str) -> list[str]:
        out = io.StringIO()
        call_command("queue", *arguments, stdout=out)
        return out.getvalue().splitlines()

    return run


@pytest.fixture
def validating(commanded: Callable[..., list[str]]) -> Iterator[Handler]:
    """A validator of the suite's purchases; a test says what it answers."""
    with handler() as served:
        hook = caller(Account.objects.get(pk=VENDOR)).post(
            "/notifications/webhooks",
            {"label": "V", "product_id": SUITE, "object_class": "fulfillment_request",
             "type": "validator", "external_url": served.url, "jwt_secret": "JWT-of-this-test"},
        )  # fmt: skip
        assert hook.status == 201, hook.json
        yield served


def saying(*params: dict[str, Any]) -> Callable[[Got], tuple[int, bytes]]:
    return lambda got: (200, json.dumps({"params": params, "asset": {"params": params}}).encode())


@SERVED
def test_the_command_tells_what_a_validation_made_of_a_draft(
    commanded: Callable[..., list[str]], validating: Handler
) -> None:
    pk, status = commanded("add", "fulfillment", "--draft")[0].split()
    assert status == "draft"
    validating.answer = saying(
        {"id": "siem_url", "constraints": {"required": True}},
        {"id": "data_region", "value_error": "Not offered"},
    )
    assert commanded("validate", pk) == [
        f"{pk} draft",
        '  data_region = "eu": "Not offered"',
        '  siem_url = "": required true',
    ]
    validating.answer = saying()
    changed = {"asset": {"params": [{"id": "data_region", "value": "us"}]}}
    assert commanded("validate", pk, "--data", json.dumps(changed)) == [
        f"{pk} draft",
        '  data_region = "us": no longer "Not offered"; was "eu"',
    ]
    assert commanded("validate", pk) == [f"{pk} draft", "  nothing is wrong, nothing was changed"]
    validating.answer = lambda got: 500
    with pytest.raises(CommandError) as failed:
        commanded("validate", pk)
    assert str(failed.value) == (
        "POST /sandbox/queue/validate: 400 Validation service is not available. The handler "
        "answered 500; only 2xx is success."
    )
    # The validator made a parameter required that is empty.
    assert commanded("move", pk, "purchase") == [f"{pk} inquiring"]
    assert commanded("move", pk, "fail", "--reason", "Played.") == [f"{pk} failed"]
    with pytest.raises(CommandError, match="is failed: validate is for draft or inquiring only"):
        commanded("validate", pk)
    assert {p["id"]: p["value"] for p in Request.objects.get(pk=pk).params}["data_region"] == "us"


@SERVED
def test_the_command_says_that_nobody_was_called(commanded: Callable[..., list[str]]) -> None:
    pk = commanded("add", "tier_config", "--draft")[0].split()[0]
    assert commanded("validate", pk) == [
        f"{pk} draft",
        f"  no validator was called: {SUITE} has no enabled webhook for a validation of this type "
        f"and status, or the capability is off",
    ]


@SERVED
def test_the_command_validates_an_open_inquiry(commanded: Callable[..., list[str]]) -> None:
    pk = commanded("add", "tier_config")[0].split()[0]
    vendor = caller(Account.objects.get(pk=VENDOR))
    wrong = {"params": [{"id": "partner_agreement", "value_error": "Which one?"}]}
    assert vendor.put(f"/tier/config-requests/{pk}", wrong).status == 200
    assert commanded("move", pk, "inquire") == [f"{pk} inquiring"]
    lines = commanded("validate", pk)
    assert lines[0] == f"{pk} inquiring"
    assert lines[-1] == '  partner_agreement = "sample partner_agreement": "Which one?"'


@SERVED
def test_data_of_the_wrong_form_is_a_line(commanded: Callable[..., list[str]]) -> None:
    with pytest.raises(CommandError, match="--data is not JSON"):
        commanded("validate", "PR-1", "--data", "{")
    with pytest.raises(CommandError, match="--data is a JSON object"):
        commanded("validate", "PR-1", "--data", "[]")
