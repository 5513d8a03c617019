"""Checks of handlers for which their time, which is shorter here, doesn't suffice."""

from __future__ import annotations

import shlex
import sys

import pytest

from checks import runner, timing
from checks.model import Outcome, Result
from checks.options import Options
from tests.checks import running
from tests.processes import ROOT

pytestmark = [
    pytest.mark.nightly(reason="waits until the time of checks is over"),
    pytest.mark.usefixtures("sandbox"),
]

HANDLER = """
import os, time
from tests.checks.handlers.reference import Handler
class Slow(Handler):
    def approve(self, api, id, template):
        {work}
        super().approve(api, id, template)
Slow(os.environ).serve()
"""
MANY_CALLS = "for _ in range(55): api.get(f'/requests/{id}')"
# Slower than the rest of a run for 105 orders, on any machine.
SLOW = "time.sleep(1)"


def result(work: str, check: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run a check and one of another group, which must pass, and return the result of the first."""
    monkeypatch.setattr(timing, "_CHECK", seconds)
    command = shlex.join([sys.executable, "-c", HANDLER.format(work=work)])
    selected = (check, "token.replay")
    options = Options(run=command, cwd=ROOT, selected=selected, start_timeout=running.START, jobs=1)
    report = runner.run(options, running.Quiet())
    results = {each.check.id: each for each in report.results}
    last = results.pop("token.replay")
    assert last.verdict.outcome is Outcome.PASS, last.verdict.text
    return results[check]


def test_sweep_of_many_calls_judges_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = result(MANY_CALLS, "crash.api_500", 25, monkeypatch).verdict
    assert verdict.outcome is Outcome.PASS, verdict.text
    assert " of 61 API calls tried in " in verdict.text
    assert "61 of 61" not in verdict.text


def test_slow_work_on_many_orders_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = result(SLOW, "effects.all_pending", 15, monkeypatch).verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.text
    assert " of 105 pending orders were approved in " in verdict.text
