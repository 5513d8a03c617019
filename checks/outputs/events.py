"""Events of a run as JSON lines, for a program that shows how far it is.

    {"event": "begun", "checks": ["auth.control", …]}
    {"event": "started", "check": "auth.control"}
    {"event": "ended", "check": "auth.control", "title": …, "level": "MUST", "mark": "pass",
     "text": …, "seconds": 0.3}
    {"event": "report", "report": {…}}

The report is that of `json_report`. The run has masked secrets in its results.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from checks.model import Check, Report, Result
from checks.outputs import json_report
from checks.outputs.marks import mark

BEGUN, STARTED, ENDED, REPORT = "begun", "started", "ended", "report"


class Stream:
    """Writes a line for each event; the progress of a run."""

    def __init__(self, checks: Sequence[Check], strict: bool, out: TextIO) -> None:
        self._strict, self._out = strict, out
        self._lock = threading.Lock()
        self._write(BEGUN, checks=[check.id for check in checks])

    def started(self, check: Check) -> None:
        """Write that a check runs."""
        self._write(STARTED, check=check.id)

    def ended(self, result: Result) -> None:
        """Write a check's result."""
        check = result.check
        self._write(
            ENDED,
            check=check.id,
            title=check.title,
            level=check.level.value,
            mark=mark(result, self._strict).value,
            text=result.verdict.text,
            seconds=round(result.seconds, 2),
        )

    def close(self) -> None:
        """Do nothing: the report follows."""

    def _write(self, event: str, **fields: Any) -> None:
        with self._lock:
            write(event, self._out, **fields)


def write_report(report: Report, out: TextIO) -> None:
    """Write the last line."""
    write(REPORT, out, report=json_report.as_json(report))


def write(event: str, out: TextIO, **fields: Any) -> None:
    """Write a line, and send it at once."""
    out.write(f"{json.dumps({'event': event, **fields})}\n")
    out.flush()


def read(line: str) -> dict[str, Any] | None:
    """Return the event of a line, None for one that is no event."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    is_event = isinstance(event, dict) and event.get("event") in (BEGUN, STARTED, ENDED, REPORT)
    return event if is_event else None
