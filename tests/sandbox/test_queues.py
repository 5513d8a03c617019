"""Samples and moves by hand, over the sandbox's endpoints."""

from __future__ import annotations

import pytest

from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.rules import TYPES
from tests.api import Caller, caller
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


def test_every_queue_makes_a_sample_of_every_type(vendor: Caller) -> None:
    for queue in base.registered():
        for kind in (None, *queue.types):
            body = {"queue": queue.object_class, "type": kind}
            answer = vendor.post("/sandbox/queue/samples", body)
            assert answer.status == 201, (queue.object_class, kind, answer.json)


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
