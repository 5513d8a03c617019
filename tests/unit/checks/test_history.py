"""What the history says about the effects on a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checks import history
from checks.history import Call, History

ORDER = "PR-1-2-3-001"
UPDATE, APPROVE = f"/requests/{ORDER}", f"/requests/{ORDER}/approve"


def call(method: str, path: str, body: Any = None, status: int = 200, began: float = 0) -> Call:
    sent = "" if body is None else json.dumps(body)
    return Call(1, method, path, "", status, began, 0.1, sent, "", ())


def update(status: int = 200, **values: str) -> Call:
    params = [{"id": name, "value": value} for name, value in values.items()]
    return call("PUT", UPDATE, {"asset": {"params": params}}, status)


def request(status: str = "approved", *params: dict[str, Any]) -> dict[str, Any]:
    return {"id": ORDER, "status": status, "asset": {"params": list(params)}}


def effects(*calls: Call, before: dict[str, str] | None = None) -> history.Effects:
    return history.effects(History(calls, (), ()), request(), before or {})


def test_approvals_are_those_of_the_request_with_their_statuses() -> None:
    found = effects(
        call("POST", APPROVE),
        call("POST", APPROVE, status=400),
        call("POST", f"/requests/{ORDER}-9/approve"),
        call("GET", APPROVE),
    )
    assert found.approvals == (200, 400)
    assert found.successful_approvals == 1


def test_other_actions_are_kept_in_order() -> None:
    paths = [f"/requests/{ORDER}/{name}" for name in ("inquire", "pend", "approve", "notes")]
    assert effects(*(call("POST", path) for path in paths)).other_actions == ("inquire", "pend")


@pytest.mark.parametrize(
    ("before", "calls", "overwritten"),
    [
        ({}, [update(a="1")], ()),
        ({"a": "1"}, [update(a="1")], ()),
        ({"a": "1"}, [update(a="2")], ("a",)),
        ({"a": ""}, [update(a="2")], ()),
        ({}, [update(a="1"), update(a="2", b="3")], ("a",)),
        ({}, [update(a="1"), update(a="1")], ()),
        ({}, [update(400, a="1"), update(a="2")], ()),
        # A second run was too late, and had a value of its own.
        ({}, [update(a="1"), update(400, a="2")], ("a",)),
        ({}, [update(a="1"), update(400, a="1")], ()),
        ({"a": "1"}, [update(a="")], ()),
        ({"a": "1"}, [call("PUT", UPDATE, {"params": [{"id": "a", "value": "2"}]})], ("a",)),
        ({"a": "1"}, [call("PUT", UPDATE, ["a"]), call("PUT", UPDATE)], ()),
    ],
)
def test_overwritten_parameters(
    before: dict[str, str], calls: list[Call], overwritten: tuple[str, ...]
) -> None:
    assert effects(*calls, before=before).overwritten == overwritten


def test_filled_parameters_are_those_with_a_value() -> None:
    found = history.filled(
        request(
            "pending",
            {"id": "a", "value": "1"},
            {"id": "b", "value": ""},
            {"id": "c", "value": None},
            {"id": "d", "value": "", "structured_value": {"y": 1, "x": 2}},
            {"id": "e"},
        )
    )
    assert found == {"a": "1", "d": '{"x": 2, "y": 1}'}


def test_pattern_of_a_call_has_no_ids() -> None:
    assert call("POST", APPROVE).pattern == "/requests/*/approve"
    assert call("GET", "/products/PRD-1-2-3/templates/7").pattern == "/products/*/templates/*"
    assert call("GET", "/requests").pattern == "/requests"


def test_writes_are_calls_that_may_change_something() -> None:
    made = (call("GET", "/requests"), call("HEAD", "/requests"), update(400, a="1"))
    assert History(made, (), ()).writes == made[2:]


def test_exhibit_shows_the_last_calls_and_errors() -> None:
    calls = tuple(call("GET", f"/requests/{n}") for n in range(50))
    lines = History((*calls, update(400, a="1")), (), ()).exhibit().lines
    assert lines[0] == "… 11 earlier calls"
    assert lines[-3].startswith(f"PUT {UPDATE} → 400")
    assert lines[-2].startswith("    sent: ") and lines[-1].startswith("    response: ")
    assert History((), (), ()).exhibit().lines == ("(none)",)
