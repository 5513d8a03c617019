"""`/sandbox/queue/samples` and `/sandbox/queue/moves`, and the command `queue`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Product, User
from requests_queue.queues import base
from requests_queue.queues.billing.models import PROVIDER_TYPE
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.creation import edit
from requests_queue.queues.tier_config.models import TierConfigRequest
from requests_queue.queues.usage_file.models import UsageFile
from requests_queue.seed import Summary
from tests import make, program
from tests.api import VENDOR, Caller, caller, refused
from tests.make import Catalog

pytestmark = pytest.mark.django_db
SUITE = "PRD-362-917-440"
PATHS = {
    "fulfillment_request": "/requests", "billing_request": "/subscriptions/requests",
    "tier_config_request": "/tier/config-requests",
    "tier_account_request": "/tier/account-requests",
    "listing_request": "/listing-requests", "usage_file": "/usage/files",
    "helpdesk_case": "/helpdesk/cases",
}  # fmt: skip


def queue_types() -> list[tuple[str, str]]:
    """Return each queue with each of its types."""
    return [(q.object_class, name) for q in base.registered() for name in (q.types or ("",))]


def is_realistic(queue: str, obj: dict[str, Any]) -> bool:
    """Return whether the representation of an object has the data of a real one."""
    match queue:
        case "fulfillment_request":
            asset, customer = obj["asset"], obj["asset"]["tiers"]["customer"]
            required = [p for p in asset["params"] if p["constraints"]["required"]]
            filled = all(
                p["value"] or p.get("structured_value")
                for p in required
                if p["phase"] == "ordering"
            )
            return filled and asset["items"] and customer["contact_info"]["contact"]["email"]
        case "tier_config_request":
            account = obj["configuration"]["account"]
            return obj["params"] and account["contact_info"]["contact"]["email"]
        case "tier_account_request":
            return obj["account"]["contact_info"]["address_line2"].startswith("Suite ")
        case "listing_request":
            return obj["note"] and obj["listing"]["contract"]["marketplace"]["id"]
        case "billing_request":
            cycles = [item["billing"]["cycle_number"] for item in obj["items"]]
            return bool(cycles) and obj["period"]["from"] < obj["period"]["to"]
        case "helpdesk_case":
            return obj["subject"] and obj["issuer"]["agent"]["name"] and obj["receiver"]["account"]
    return obj["records"]["valid"] > 0 and obj["records"]["invalid"] == 0


def test_samples_of_every_type_can_be_created_repeatedly(
    vendor: Caller, distributor: Caller
) -> None:
    for queue, type_ in queue_types():
        created = set()
        for _ in range(2):
            body = {"queue": queue, "type": type_ or None}
            actor = distributor if type_ == PROVIDER_TYPE else vendor
            response = actor.post("/sandbox/queue/samples", body)
            assert response.status == 201, (queue, type_, response.json)
            created.add(response.json["id"])
            obj = distributor.get(f"{PATHS[queue]}/{response.json['id']}").json
            assert obj.get("type", "") == type_
            assert is_realistic(queue, obj), (queue, type_, obj)
            status = obj.get("state", obj.get("status", ""))
            assert status == response.json["status"] != "failed", (queue, type_, obj)
        assert len(created) == 2


def test_sample_of_a_product_is_created_or_refused_with_one_error(
    vendor: Caller, distributor: Caller
) -> None:
    products = list(Product.objects.order_by("pk"))
    lacking = set()
    for queue, type_ in queue_types():
        for product in products:
            body = {"queue": queue, "type": type_ or None, "product": product.pk}
            actor = distributor if type_ == PROVIDER_TYPE else vendor
            response = actor.post("/sandbox/queue/samples", body)
            if response.status == 201:
                assert response.json["product"] == product.pk
            else:
                assert (response.status, len(response.json["errors"])) == (400, 1), response.json
                lacking.add((queue, type_, product.pk))
    # The product with all capabilities lacks only a free listing.
    assert {(queue, type_) for queue, type_, pk in lacking if pk == SUITE} == {
        ("listing_request", type_) for type_ in ("new", "update", "remove")
    }


# Actions and resulting statuses of each sample; the command runs as the vendor.
ACTIONS = {
    "fulfillment_request": (("schedule", "scheduled"), ("revoke", "revoking"),
                            ("confirm", "revoked")),
    "tier_config_request": (("approve", "approved"),),
    "tier_account_request": (("accept", "accepted"),),
    "listing_request": (("submit", "reviewing"), ("refine", "draft"), ("submit", "reviewing"),
                        ("deploy", "deploying"), ("complete", "completed")),
    "usage_file": (("submit", "pending"), ("accept", "accepted"), ("reprocess", "accepted"),
                   ("close", "closed")),
    "billing_request": (),
    "helpdesk_case": (("inquire", "inquiring"), ("pend", "pending"), ("resolve", "resolved"),
                      ("close", "closed")),
}  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_queue_command_adds_samples_and_runs_actions(run_queue: Any) -> None:
    for queue, type_ in queue_types():
        options = ("--type", type_) if type_ else ()
        party = ("--as", "distributor") if type_ == PROVIDER_TYPE else ()
        pk, *status = run_queue("add", queue, *options, *party)[0].split()
        assert (status[0] == "of") == (queue == "billing_request"), (queue, type_)
        if queue == "tier_config_request":
            params = TierConfigRequest.objects.get(pk=pk).params
            empty = [p["id"] for p in params if p["phase"] == "fulfillment"]
            values = [{"id": name, "value": "pt-1"} for name in empty]
            edit(pk, {"params": values}, Actor(None, Account.objects.get(pk=VENDOR)))
        for action, target in ACTIONS[queue]:
            data = {"reason": "Tested.", "planned_date": "2099-01-01"}
            printed = run_queue("move", pk, action, "--data", json.dumps(data))
            assert printed == [f"{pk} {target}"], (queue, type_, action)
    with pytest.raises(program.Failed, match=r"\b403\b"):
        run_queue("move", UsageFile.objects.latest("created").pk, "process")
    # A wrong status is a 400 that names the status, not a 403 for the caller.
    with pytest.raises(program.Failed, match="is approved: revoke is for scheduled only"):
        run_queue("move", Request.objects.filter(status="approved").latest("pk").pk, "revoke")


def test_caller_is_a_party_to_the_sample(seeded: Summary, other: Catalog) -> None:
    worlds = (make.catalog("6"), other)
    make.asset(worlds[0], 6)
    for queue in base.registered():
        for catalog in worlds:
            for account, party in ((catalog.vendor, "vendor"), (catalog.provider, "provider")):
                response = caller(account).post(
                    "/sandbox/queue/samples", {"queue": queue.object_class}
                )
                if response.status != 201:
                    # This small platform lacks the data that the sample needs.
                    assert response.json["error_code"] in ("REQ_003", "TAR_003"), response.json
                    continue
                row = queue.model._default_manager.get(pk=response.json["id"])
                assert getattr(row, party) == account


def test_sample_that_the_caller_may_not_see_is_refused(vendor: Caller, other: Catalog) -> None:
    counts = [queue.model._default_manager.count() for queue in base.registered()]
    hidden = {"queue": "billing", "type": PROVIDER_TYPE}
    refused(
        vendor.post("/sandbox/queue/samples", hidden),
        403,
        "A billing_request of type provider is not for a vendor.",
    )
    foreign = {"queue": "fulfillment", "product": other.product.pk}
    response = vendor.post("/sandbox/queue/samples", foreign)
    refused(response, 404, f"Object `{other.product.pk}` not found.")
    assert counts == [queue.model._default_manager.count() for queue in base.registered()]


def test_action_runs_as_the_party_that_may_run_it(vendor: Caller, distributor: Caller) -> None:
    sample = distributor.post("/sandbox/queue/samples", {"queue": "fulfillment"}).json
    row = Request.objects.get(pk=sample["id"])
    body = {"id": row.pk, "action": "fail", "data": {"reason": "tested"}}
    response = distributor.post("/sandbox/queue/moves", body)
    assert (response.status, response.json["status"]) == (200, "failed")


def test_action_of_the_other_party_is_taken_by_one_of_its_users(vendor: Caller) -> None:
    case = vendor.post("/sandbox/queue/samples", {"queue": "helpdesk", "type": "business"}).json
    body = {"id": case["id"], "action": "inquire"}
    assert vendor.post("/sandbox/queue/moves", body).json["status"] == "inquiring"
    shown = vendor.get(f"/helpdesk/cases/{case['id']}").json
    by = shown["events"]["inquiring"]["by"]
    assert by == shown["receiver"]["agent"] != shown["issuer"]["agent"]
    account = shown["receiver"]["account"]["id"]
    assert not User.objects.get(account=account, uid=by["id"]).is_service


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("samples", {"queue": "nothing"}, 400),
        ("samples", {}, 400),
        ("samples", {"queue": 1}, 400),
        ("samples", {"queue": "fulfillment", "type": "nothing"}, 400),
        ("samples", {"queue": "fulfillment", "product": "PRD-000-000-000"}, 404),
        ("moves", {"id": "PR-0000", "action": "approve"}, 404),
        ("moves", {"id": "PR-5810-2277-4101-001", "action": "dance"}, 400),
        ("moves", {"id": "PR-5810-2277-4101-001", "action": "fail", "data": []}, 400),
        ("moves", {"id": "PR-5810-2277-4101-001", "action": "fail"}, 400),
    ],
)
def test_invalid_input_is_refused(
    vendor: Caller, path: str, body: dict[str, object], status: int
) -> None:
    response = vendor.post(f"/sandbox/queue/{path}", body)
    assert response.status == status, response.json
    assert set(response.json) >= {"error_code", "errors", "hint", "retryable"}


def test_action_on_another_partys_object_is_not_found(other: Catalog) -> None:
    body = {"id": "PR-5810-2277-4101-001", "action": "fail", "data": {"reason": "no"}}
    for account in (other.vendor, other.provider):
        assert caller(account).post("/sandbox/queue/moves", body).status == 404


@pytest.mark.parametrize("is_answered", [True, False])
def test_parameters_of_a_pend_are_the_customers_answer(vendor: Caller, is_answered: bool) -> None:
    rows = vendor.get("/requests?status=inquiring").json
    order, asked = next(
        (row, asked)
        for row in rows
        if (asked := [p for p in row["asset"]["params"] if p["value_error"]])
    )
    body: dict[str, Any] = {"id": order["id"], "action": "pend"}
    if is_answered:
        answers = [{"id": p["id"], "value": p["value"]} for p in asked]
        body["data"] = {"asset": {"params": answers}}
    assert vendor.post("/sandbox/queue/moves", body).json["status"] == "pending"
    params = vendor.get(f"/requests/{order['id']}").json["asset"]["params"]
    assert [bool(p["value_error"]) for p in params] == [
        not is_answered and p["id"] in [each["id"] for each in asked] for p in params
    ]
