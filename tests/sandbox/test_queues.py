"""Samples and moves by hand, over the sandbox's endpoints."""

from __future__ import annotations

import pytest

from requests_queue.queues import base
from requests_queue.queues.billing.models import PROVIDER_TYPE
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.rules import TYPES
from requests_queue.seed import Summary
from tests import make
from tests.api import Caller, caller, refused
from tests.make import World

pytestmark = pytest.mark.django_db
SUITE = "PRD-362-917-440"


@pytest.mark.parametrize("kind", TYPES)
def test_a_sample_of_each_type(vendor: Caller, kind: str) -> None:
    body = {"queue": "fulfillment", "type": kind, "product": SUITE}
    answer = vendor.post("/sandbox/queue/samples", body)
    assert answer.status == 201, answer.json
    row = Request.objects.get(pk=answer.json["id"])
    assert row.type == kind
    assert row.status in ("pending", "tiers_setup")


def test_every_queue_makes_a_sample_of_every_type(vendor: Caller, distributor: Caller) -> None:
    for queue in base.registered():
        for kind in (None, *queue.types):
            body = {"queue": queue.object_class, "type": kind}
            asked = [distributor] if kind == PROVIDER_TYPE else [vendor, distributor]
            for who in asked:
                answer = who.post("/sandbox/queue/samples", body)
                assert answer.status == 201, (queue.object_class, kind, answer.json)


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
