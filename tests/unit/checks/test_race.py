"""What is said of two requests that lead to no two runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from checks.catalog import race
from checks.catalog.race import Race
from checks.good_run import Step
from checks.history import History
from checks.lab import Lab
from checks.outcomes import Outcome
from tests.unit.checks.test_verdicts import effects, reply


@pytest.mark.parametrize(
    ("interval", "outcome"), [(5.0, Outcome.SKIPPED), (0.0, Outcome.INCONCLUSIVE)]
)
def test_handler_that_works_by_a_timer_is_not_judged(interval: float, outcome: Outcome) -> None:
    lab = SimpleNamespace(timing=SimpleNamespace(interval=interval))
    made = Race("PR-1", (reply(), reply()), True, False, 1, History((), (), ()), effects())
    read = cast(Step, SimpleNamespace(text="GET /requests"))
    verdict = race._judge(cast(Lab, lab), made, read, "Two runs had read")
    assert verdict.outcome is outcome
