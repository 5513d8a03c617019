"""What is said about a handler that works by a timer of its own, without being called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from sandbox.checks import experiments, verdicts
from sandbox.checks.handler_requests import Reply
from sandbox.checks.lab import Lab
from sandbox.checks.outcomes import Outcome
from tests.unit.checks.test_verdicts import reply

TIMER = "a timer of its own"


@pytest.mark.parametrize(
    ("has_timer", "answered", "outcome", "part"),
    [
        (False, reply(401), Outcome.FAIL, "Processed it."),
        (False, None, Outcome.FAIL, "Processed it."),
        (True, reply(401), Outcome.SKIPPED, TIMER),
        (True, None, Outcome.SKIPPED, TIMER),
        # That it has accepted the request is seen all the same.
        (True, reply(200), Outcome.FAIL, "Responded 200"),
    ],
)
def test_work_by_a_timer_is_no_effect_of_a_forged_request(
    has_timer: bool, answered: Reply | None, outcome: Outcome, part: str
) -> None:
    lab = SimpleNamespace(
        timing=SimpleNamespace(quiet=0.2, interval=0.0),
        settle=lambda quiet: None,
        order=lambda: "PR-1",
        wait_finished=lambda orders, timeout: has_timer,
    )
    failure = verdicts.failed("Processed it.")
    verdict = experiments.unless_unasked(cast(Lab, lab), failure, answered)
    assert verdict.outcome is outcome
    assert part in verdict.text
