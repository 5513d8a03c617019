"""`check --readings` of handlers that fail in one alternative."""

from __future__ import annotations

import shlex
import sys

from checks import readings
from checks.model import Alternative, InReading, Outcome
from checks.options import Options
from sandbox.readings.registry import BY_ID
from tests.checks.running import START, Quiet, not_judged
from tests.processes import ROOT


def alternatives(*ids: str) -> list[Alternative]:
    return [
        Alternative(name, value, text, BY_ID[name].checks)
        for name in ids
        for value, text in BY_ID[name].alternatives.items()
    ]


def run(handler: str, *ids: str) -> dict[str, Outcome]:
    """Return the outcomes by alternative; repeat what the machine was too slow to judge."""
    command = shlex.join([sys.executable, str(ROOT / "tests/checks/handlers"), handler])
    asked = alternatives(*ids)
    options = Options(run=command, start_timeout=START, selected=readings.selected(asked))
    for _ in range(6):
        told = list[InReading]()
        report = readings.run(options, asked, Quiet(), told.append)
        assert not report.error, report.error
        assert tuple(told) == report.readings
        if not any(map(not_judged, (report, *report.readings))):
            break
    return {each.alternative.choice: each.outcome for each in report.readings}


def test_handler_that_reads_one_header_fails_with_the_other_only() -> None:
    assert run("reads_authorization_only", "jwt_header", "object_class_form") == {
        "jwt_header=authentication": Outcome.FAIL,
        "jwt_header=authorization": Outcome.PASS,
        "object_class_form=singular": Outcome.PASS,
    }
