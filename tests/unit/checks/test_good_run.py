"""Steps of a good run, and in what another run's effects differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks import good_run
from checks.history import Call, Effects

GOOD = Effects("approved", {"domain": "a.example", "activation_id": "1"}, (200,), (), ())


def call(method: str, path: str) -> Call:
    return Call(1, method, path, "", 200, 0.0, 0.01, "", "", ())


def test_steps_count_calls_of_the_same_method_and_pattern():
    calls = [
        call("GET", "/requests"),
        call("GET", "/requests/PR-1234-5678-9012-001"),
        call("PUT", "/requests/PR-1234-5678-9012-001"),
        call("GET", "/requests"),
    ]
    found = [(s.text, s.occurrence, s.is_read) for s in good_run.steps(calls)]
    assert found == [
        ("GET /requests", 1, True),
        ("GET /requests/*", 1, True),
        ("PUT /requests/*", 1, False),
        ("GET /requests (no. 2)", 2, True),
    ]


def test_run_with_other_values_has_the_same_effects():
    other = replace(GOOD, params={"domain": "b.example", "activation_id": "2"})
    assert good_run.difference(GOOD, other) == ""


def test_refused_second_approval_is_no_difference():
    assert good_run.difference(GOOD, replace(GOOD, approvals=(200, 400))) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "pending"}, "it is pending instead of approved"),
        ({"params": {"domain": "a.example"}}, "activation_id has no value"),
        ({"params": {**GOOD.params, "more": "1"}}, "more has a value"),
        ({"overwritten": ("activation_id",)}, "a second value was sent for activation_id"),
        ({"approvals": (200, 200)}, "it was approved 2 times"),
        ({"other_actions": ("fail",)}, "fail was called on the way"),
    ],
)
def test_difference_is_named(changes: dict[str, object], words: str):
    assert words in good_run.difference(GOOD, replace(GOOD, **changes))  # type: ignore[arg-type]
