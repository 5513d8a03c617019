"""`/sandbox/faults`: arm, list and clear, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.errors import Conflict
from sandbox.faults import api_side, armed, delivery_side, task_side
from sandbox.faults.kinds import API, DELIVERY, KINDS, SIDES, TASK
from sandbox.models import Fault
from tests import make
from tests.api import Caller
from tests.background import concurrently
from tests.make import Catalog
from tests.sandbox.faults.conftest import Arm

pytestmark = pytest.mark.django_db(transaction=True)


def test_armed_fault_is_shown_with_defaults_and_counts(client: Caller, arm: Arm) -> None:
    fault = arm("abort", {"retry_after": 1}, path="/public/v1/requests/*/approve", method="POST")
    assert fault["id"].startswith("FLT-")
    expected = {
        "name": "abort-1",
        "side": "api",
        "is_armed": True,
        "parameters": {"status": 503, "retry_after": 1},
        "path": "/requests/*/approve",
        "method": "POST",
        "asked": 0,
        "fired": 0,
        "seed": 1,
    }
    assert {name: fault[name] for name in expected} == expected
    assert client.get(f"/sandbox/faults/{fault['id']}").json == fault
    assert client.get("/sandbox/faults").json == {"faults": [fault]}


def test_cleared_fault_is_returned_once_with_its_counts(client: Caller, arm: Arm) -> None:
    first, second = arm("abort", side="api"), arm("drop", side="api")
    assert client.get("/requests").status == 503
    cleared = client.delete(f"/sandbox/faults/{first['id']}")
    assert (cleared.status, cleared.json["fired"]) == (200, 1)
    assert client.delete(f"/sandbox/faults/{first['id']}").status == 404
    assert client.get(f"/sandbox/faults/{first['id']}").status == 404
    rest = client.delete("/sandbox/faults").json["faults"]
    assert [fault["id"] for fault in rest] == [second["id"]]
    assert client.get("/sandbox/faults").json == {"faults": []}
    assert client.get("/requests").status == 200


def test_names_given_by_us_are_not_used_again(client: Caller, arm: Arm) -> None:
    assert arm("abort", side="api")["name"] == "abort-1"
    client.delete("/sandbox/faults")
    assert arm("latency", {"ms": 1}, side="api")["name"] == "latency-2"


def test_name_is_unique_until_it_is_cleared(client: Caller, arm: Arm) -> None:
    fault = arm("abort", name="mine", side="api")
    response = client.post("/sandbox/faults", {"kind": "drop", "side": "api", "name": "mine"})
    assert (response.status, response.json["error_code"]) == (409, "FLT_001")
    client.delete(f"/sandbox/faults/{fault['id']}")
    assert arm("drop", name="mine", side="api")["name"] == "mine"


def test_concurrent_callers_get_different_names(catalog: Catalog) -> None:
    def arm_four() -> None:
        for name in ("", "", "", "same"):
            armed.arm("abort", API, name, {"status": 503})

    outcomes = concurrently(*[arm_four] * 4)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3
    rows = list(Fault.objects.order_by("ordinal"))
    assert [row.ordinal for row in rows] == list(range(1, 14))
    assert len({row.name for row in rows}) == 13
    assert len(armed.on(API)) == 13


def _minimal(kind: str, side: str) -> dict[str, Any]:
    required = [p for p in KINDS[kind].parameters_of(side) if p.is_required]
    return {"kind": kind, "side": side, "parameters": {p.name: max(p.low, 1) for p in required}}


def test_every_kind_can_be_armed_with_its_required_parameters(client: Caller) -> None:
    for body in (_minimal(kind.name, side) for kind in KINDS.values() for side in kind.sides):
        fault = client.post("/sandbox/faults", body)
        assert fault.status == 201, fault
        for name in body["parameters"]:
            less = {k: v for k, v in body["parameters"].items() if k != name}
            refused = client.post("/sandbox/faults", {**body, "parameters": less})
            assert refused.status == 400
            assert refused.json["errors"][0].startswith(f"parameters.{name}:")


def test_every_kind_has_an_effect_on_each_of_its_sides() -> None:
    of_token = {"stale_token", "clock_skew", "rotate_secret", "no_token"}
    effects = {
        DELIVERY: {*delivery_side.EFFECTS, *of_token},
        API: {*api_side.BEFORE, *api_side.AFTER, api_side.HOLD_CALL},
        TASK: {*task_side.COPIES, "restart_gateway"},
    }
    for side in SIDES:
        assert effects[side] == {kind.name for kind in KINDS.values() if side in kind.sides}, side


def test_kind_of_the_other_side_is_refused(client: Caller) -> None:
    for kind in KINDS.values():
        for side in {*SIDES} - {*kind.sides}:
            response = client.post("/sandbox/faults", {"kind": kind.name, "side": side})
            assert response.status == 400 and response.json["errors"][0].startswith("kind: ")


def test_seconds_may_be_a_duration(arm: Arm) -> None:
    fault = arm("outage", {"after": "1m", "for": "PT2H"}, side="api", ttl="5m")
    assert fault["parameters"] == {"after": 60, "for": 7200, "status": 503}
    assert 299 < fault["expires_in"] <= 300


def test_webhook_limits_a_fault_to_its_deliveries(catalog: Catalog, arm: Arm) -> None:
    webhook = make.webhook(catalog)
    fault = arm("duplicate", webhook=webhook.pk)
    assert (fault["side"], fault["webhook"]) == ("delivery", webhook.pk)
    assert [each.id for each in armed.on("delivery")] == [fault["id"]]
    assert armed.on(API) == ()
