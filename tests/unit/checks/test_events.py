"""Events of a run: what a program reads that shows its progress."""

from __future__ import annotations

import io
import json

import pytest

from checks.outputs import events, json_report
from tests.unit.checks import reports


def test_stream_has_a_line_for_each_event() -> None:
    out, checks = io.StringIO(), [reports.check("auth.control"), reports.check("auth.garbage")]
    stream = events.Stream(checks, False, out)
    stream.started(checks[1])
    failed = reports.with_text("refused").results[0]
    stream.ended(failed)
    stream.close()
    report = reports.mixed()
    events.write_report(report, out)
    begun, started, ended, last = map(json.loads, out.getvalue().splitlines())
    assert begun == {"event": "begun", "checks": ["auth.control", "auth.garbage"]}
    assert started == {"event": "started", "check": "auth.garbage"}
    assert (ended["check"], ended["mark"], ended["level"]) == ("auth.garbage", "fail", "MUST")
    assert json_report.from_json(last["report"]).results[0].check.id == report.results[0].check.id


@pytest.mark.parametrize("line", ["", "Traceback", "[]", "1", '{"event": "other"}', "{"])
def test_other_lines_are_no_events(line: str) -> None:
    assert events.read(line) is None
