"""A check of a handler for which its time, which is shorter here, doesn't suffice."""

from __future__ import annotations

import shlex
import sys

import pytest

from checks import runner, timing
from checks.model import Outcome
from checks.options import Options
from tests.checks import running
from tests.processes import ROOT

pytestmark = [
    pytest.mark.nightly(reason="waits until the time of checks is over"),
    pytest.mark.usefixtures("sandbox"),
]

HANDLER = """
import os
from tests.checks.handlers.reference import Handler
class Slow(Handler):
    def approve(self, api, id, template):
        for _ in range(55): api.get(f'/requests/{id}')
        super().approve(api, id, template)
Slow(os.environ).serve()
"""


def test_sweep_of_many_calls_judges_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check after it has its whole time."""
    monkeypatch.setattr(timing, "_CHECK", 25)
    command = shlex.join([sys.executable, "-c", HANDLER])
    selected = ("crash.api_500", "token.replay")
    options = Options(run=command, cwd=ROOT, selected=selected, start_timeout=running.START, jobs=1)
    report = runner.run(options, running.Quiet())
    verdicts = {each.check.id: each.verdict for each in report.results}
    assert {verdicts[name].outcome for name in selected} == {Outcome.PASS}, verdicts
    text = verdicts["crash.api_500"].text
    assert " of 61 API calls tried in " in text and "61 of 61" not in text
