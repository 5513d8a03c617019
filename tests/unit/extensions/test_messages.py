"""Messages of runners: what is read of them, and that nothing else than BadMessage is raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extensions import messages
from extensions.messages import BadMessage, Result, Setup

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_SETUP = ("event_subscriptions", "variables", "schedulables", "runner_version")
_OUTPUT = ("result", "message", "countdown", "runtime", "data")


def _some(*keys: str) -> Any:
    return _values | st.fixed_dictionaries({}, optional=dict.fromkeys(keys, _values))


def _frame(kind: str, data: Any) -> str:
    return json.dumps({"version": 2, "message_type": kind, "data": data})


def _read(reader: Callable[[Any], Any], frame: str | bytes) -> None:
    try:
        reader(messages.parse(frame)[1])
    except BadMessage as error:
        assert str(error)


@given(st.text() | st.binary())
def test_any_frame_is_read_or_bad(frame: str | bytes) -> None:
    _read(messages.read_setup, frame)


@given(_some(*_SETUP))
def test_any_setup_is_read_or_bad(data: Any) -> None:
    _read(messages.read_setup, _frame("setup_request", data))


@given(st.fixed_dictionaries({}, optional={"options": _some("task_id"), "output": _some(*_OUTPUT)}))
def test_any_result_is_read_or_bad(data: Any) -> None:
    _read(messages.read_result, _frame("task", data))


@pytest.mark.parametrize(
    "frame",
    [
        None,
        "",
        "{",
        b"\xff",
        "[]",
        "[" * 100_000,
        '{"version": 2}',
        '{"version": 2, "message_type": 1}',
        '{"version": 1, "message_type": "task"}',
        '{"message_type": "task"}',
        '{"version": 2, "message_type": "task", "data": NaN}',
        # PostgreSQL can't store these.
        '{"version": 2, "message_type": "task", "data": "\\u0000"}',
        '{"version": 2, "message_type": "task", "data": "\\ud800"}',
        '{"version": 2, "message_type": "task", "data": 1e400}',
    ],
)
def test_frame_that_is_no_message_is_bad(frame: Any) -> None:
    with pytest.raises(BadMessage):
        messages.parse(frame)


@pytest.mark.parametrize(
    "data",
    [
        {"event_subscriptions": []},
        {"event_subscriptions": {"asset_purchase_request_processing": None}},
        {"event_subscriptions": {"asset_purchase_request_processing": [1]}},
        {"variables": {}},
        {"variables": [{"initial_value": "a"}]},
        {"variables": ["name"]},
        {"schedulables": [{"name": "no method"}]},
    ],
)
def test_setup_of_other_types_is_bad(data: Any) -> None:
    with pytest.raises(BadMessage):
        messages.read_setup(data)


def test_setup_is_read() -> None:
    nothing = dict.fromkeys(("event_subscriptions", "variables", "schedulables"))
    assert messages.read_setup(nothing) == Setup({}, [], [], "")
    data = {
        "event_subscriptions": {
            "asset_purchase_request_processing": ["pending"],
            "asset_resume_cancel_processing": [],
        },
        "variables": [{"name": "A", "initial_value": "1", "secure": True}, {"name": "B"}],
        "schedulables": [{"method": "run", "name": "Run"}],
        "runner_version": "43.1",
    }
    assert messages.read_setup(data) == Setup(
        # Unknown ones are kept.
        data["event_subscriptions"],
        [("A", "1", True), ("B", "", False)],
        [{"method": "run", "name": "Run", "description": ""}],
        "43.1",
    )


@pytest.mark.parametrize(
    ("task", "output", "expected"),
    [
        ("TQ-1234-5678-01-000012", {"result": "success"}, Result(12, "success")),
        (
            "TQ-1-12",
            {"result": "reschedule", "countdown": 30, "runtime": 0.5, "message": "m" * 5000},
            Result(12, "reschedule", "m" * 4000, 30, 0.5),
        ),
        ("TQ-1-12", {"result": "retry", "countdown": -1}, Result(12, "retry")),
        ("TQ-1-12", {"result": "retry", "countdown": True}, Result(12, "retry")),
        ("TQ-1-12", {"result": "retry", "countdown": "30"}, Result(12, "retry")),
        ("TQ-1-12", {"result": "retry", "countdown": 10**400}, Result(12, "retry", "", 31622400)),
        ("TQ-1-12", {"result": "fail", "message": 1, "data": [1]}, Result(12, "fail", data=[1])),
        ("TQ-1-12", {"result": "done"}, None),
        ("TQ-1-12", {"result": ["success"]}, None),
        ("TQ-1-12", [], None),
        ("TQ-1-", {"result": "success"}, None),
        ("TQ-1-\u0663", {"result": "success"}, None),
        (f"TQ-1-{10**18}", {"result": "success"}, None),
        (None, {"result": "success"}, None),
    ],
)
def test_result_is_read(task: Any, output: Any, expected: Result | None) -> None:
    data = {"options": {"task_id": task}, "output": output}
    if expected:
        assert messages.read_result(data) == expected
        return
    with pytest.raises(BadMessage):
        messages.read_result(data)


def test_composed_message_is_parsed() -> None:
    frame = messages.compose("task", {"a": "ü"})
    assert messages.parse(frame) == ("task", {"a": "ü", "model_type": "task"})
    assert messages.parse(messages.compose("shutdown", None)) == ("shutdown", {})
