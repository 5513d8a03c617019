"""Samples and moves by hand, over the sandbox's endpoints."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from requests_queue import seed
from requests_queue.catalog.models import Account, Product
from requests_queue.queues import base
from requests_queue.queues.base import Actor
from requests_queue.queues.billing.models import PROVIDER_TYPE
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.creation import edit
from requests_queue.queues.tier_config.models import TierConfigRequest
from requests_queue.queues.usage_file.models import UsageFile
from requests_queue.seed import Summary
from sandbox import sandbox_file
from tests import make
from tests.api import PROVIDER, VENDOR, Caller, caller, refused
from tests.make import World

pytestmark = pytest.mark.django_db
SUITE = "PRD-362-917-440"
PATHS = {
    "fulfillment_request": "/requests", "billing_request": "/subscriptions/requests",
    "tier_config_request": "/tier/config-requests",
    "tier_account_request": "/tier/account-requests",
    "listing_request": "/listing-requests", "usage_file": "/usage/files",
}  # fmt: skip


def kinds() -> list[tuple[str, str]]:
    """Return each queue with each of its types."""
    return [(q.object_class, kind) for q in base.registered() for kind in (q.types or ("",))]


def is_realistic(queue: str, found: dict[str, Any]) -> bool:
    """Whether an object, as the API shows it, has what a real one has."""
    match queue:
        case "fulfillment_request":
            asset, customer = found["asset"], found["asset"]["tiers"]["customer"]
            wanted = [p for p in asset["params"] if p["constraints"]["required"]]
            filled = all(
                p["value"] or p.get("structured_value") for p in wanted if p["phase"] == "ordering"
            )
            return filled and asset["items"] and customer["contact_info"]["contact"]["email"]
        case "tier_config_request":
            account = found["configuration"]["account"]
            return found["params"] and account["contact_info"]["contact"]["email"]
        case "tier_account_request":
            return found["account"]["contact_info"]["address_line2"].startswith("Suite ")
        case "listing_request":
            return found["note"] and found["listing"]["contract"]["marketplace"]["id"]
        case "billing_request":
            cycles = [item["billing"]["cycle_number"] for item in found["items"]]
            return bool(cycles) and found["period"]["from"] < found["period"]["to"]
    return found["records"]["valid"] > 0 and found["records"]["invalid"] == 0


def test_samples_of_every_type_can_be_made_again_and_again(
    vendor: Caller, distributor: Caller
) -> None:
    for queue, kind in kinds():
        made = set()
        for _ in range(3):
            body = {"queue": queue, "type": kind or None}
            who = distributor if kind == PROVIDER_TYPE else vendor
            answer = who.post("/sandbox/queue/samples", body)
            assert answer.status == 201, (queue, kind, answer.json)
            made.add(answer.json["id"])
            found = distributor.get(f"{PATHS[queue]}/{answer.json['id']}").json
            assert found.get("type", "") == kind
            assert is_realistic(queue, found), (queue, kind, found)
            status = found.get("state", found.get("status", ""))
            assert status == answer.json["status"] != "failed", (queue, kind, found)
        assert len(made) == 3


def test_samples_of_one_product_are_of_it_or_a_sentence_says_why_not(
    vendor: Caller, distributor: Caller
) -> None:
    products = list(Product.objects.order_by("pk"))
    lacking = set()
    for queue, kind in kinds():
        for product in products:
            body = {"queue": queue, "type": kind or None, "product": product.pk}
            who = distributor if kind == PROVIDER_TYPE else vendor
            answer = who.post("/sandbox/queue/samples", body)
            if answer.status == 201:
                assert answer.json["product"] == product.pk
            else:
                assert (answer.status, len(answer.json["errors"])) == (400, 1), answer.json
                lacking.add((queue, kind, product.pk))
    # The product that can everything lacks nothing but a free listing.
    assert {(queue, kind) for queue, kind, pk in lacking if pk == SUITE} == {
        ("listing_request", kind) for kind in ("new", "update", "remove")
    }


# How each sample goes on, by the side that the move is for: all as the vendor's own command.
WAYS = {
    "fulfillment_request": (("schedule", "scheduled"), ("revoke", "revoking"),
                            ("confirm", "revoked")),
    "tier_config_request": (("approve", "approved"),),
    "tier_account_request": (("accept", "accepted"),),
    "listing_request": (("submit", "reviewing"), ("refine", "draft"), ("submit", "reviewing"),
                        ("deploy", "deploying"), ("complete", "completed")),
    "usage_file": (("submit", "pending"), ("accept", "accepted"), ("reprocess", "accepted"),
                   ("close", "closed")),
    "billing_request": (),
}  # fmt: skip


@pytest.fixture
def commanded(live_server: Any, tmp_path: Path, settings: Any) -> Any:
    """The commands of a sandbox that runs in this process."""
    seed.run(lambda line: None)
    keys = [caller(Account.objects.get(pk=pk)).key or "" for pk in (VENDOR, PROVIDER)]
    settings.SIM_DATA_DIR = tmp_path
    sandbox_file.write(tmp_path, sandbox_file.Sandbox(live_server.url, *keys))

    def run(*arguments: str) -> list[str]:
        out = io.StringIO()
        call_command("queue", *arguments, stdout=out)
        return out.getvalue().split()

    return run


@pytest.mark.django_db(transaction=True)
def test_the_commands_add_and_move_each(commanded: Any) -> None:
    for queue, kind in kinds():
        options = ("--type", kind) if kind else ()
        side = ("--as", "distributor") if kind == PROVIDER_TYPE else ()
        pk, *status = commanded("add", queue, *options, *side)
        assert bool(status) == (queue != "billing_request"), (queue, kind)
        if queue == "tier_config_request":
            # Of tier 1 or of tier 2.
            params = TierConfigRequest.objects.get(pk=pk).params
            empty = [p["id"] for p in params if p["phase"] == "fulfillment"]
            values = [{"id": name, "value": "pt-1"} for name in empty]
            edit(pk, {"params": values}, Actor(None, Account.objects.get(pk=VENDOR)))
        for verb, target in WAYS[queue]:
            data = {"reason": "Played.", "planned_date": "2099-01-01"}
            moved = commanded("move", pk, verb, "--data", json.dumps(data))
            assert moved == [pk, target], (queue, kind, verb)
    with pytest.raises(CommandError, match="is made by the platform itself"):
        commanded("move", UsageFile.objects.latest("created").pk, "process")
    # What is wrong is said of the object, not of who asks.
    with pytest.raises(CommandError, match="is approved: revoke is for scheduled only"):
        commanded("move", Request.objects.filter(status="approved").latest("pk").pk, "revoke")


def test_a_sample_is_of_the_callers_own(seeded: Summary, other: World) -> None:
    lines = (make.world("6"), other)
    make.asset(lines[0], 6)
    for queue in base.registered():
        for made in lines:
            for who, side in ((made.vendor, "vendor"), (made.provider, "provider")):
                answer = caller(who).post("/sandbox/queue/samples", {"queue": queue.object_class})
                if answer.status != 201:
                    # The smallest platform hasn't what it takes.
                    assert answer.json["error_code"] in ("REQ_003", "TAR_003"), answer.json
                    continue
                row = queue.model._default_manager.get(pk=answer.json["id"])
                assert getattr(row, side) == who


def test_what_a_caller_may_not_see_is_not_made_for_it(vendor: Caller, other: World) -> None:
    made = [queue.model._default_manager.count() for queue in base.registered()]
    hidden = {"queue": "billing", "type": PROVIDER_TYPE}
    refused(
        vendor.post("/sandbox/queue/samples", hidden), 403,
        "A billing_request of type provider is not for a vendor.",
    )  # fmt: skip
    foreign = {"queue": "fulfillment", "product": other.product.pk}
    answer = vendor.post("/sandbox/queue/samples", foreign)
    refused(answer, 404, f"Object `{other.product.pk}` not found.")
    assert made == [queue.model._default_manager.count() for queue in base.registered()]


def test_a_move_is_made_as_whichever_party_it_is_for(vendor: Caller, distributor: Caller) -> None:
    made = distributor.post("/sandbox/queue/samples", {"queue": "fulfillment"}).json
    row = Request.objects.get(pk=made["id"])
    body = {"id": row.pk, "action": "fail", "data": {"reason": "played"}}
    answer = distributor.post("/sandbox/queue/moves", body)
    assert (answer.status, answer.json["status"]) == (200, "failed")


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
def test_bad_input(vendor: Caller, path: str, body: dict[str, object], status: int) -> None:
    answer = vendor.post(f"/sandbox/queue/{path}", body)
    assert answer.status == status, answer.json
    assert set(answer.json) >= {"error_code", "errors"}


def test_a_stranger_moves_nothing(other: World) -> None:
    body = {"id": "PR-5810-2277-4101-001", "action": "fail", "data": {"reason": "no"}}
    for account in (other.vendor, other.provider):
        assert caller(account).post("/sandbox/queue/moves", body).status == 404


def test_nobody_moves_nothing(nobody: Caller) -> None:
    assert nobody.post("/sandbox/queue/samples", {"queue": "fulfillment"}).status == 401
