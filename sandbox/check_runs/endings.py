"""How a run has ended, by what its process reported and printed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from requests_queue.redaction import Redaction
from sandbox.check_runs.runs import Ending
from sandbox.checks.outputs import json_report
from sandbox.checks.outputs.json_report import BadReport
from sandbox.checks.outputs.masking import mask_report
from sandbox.models import CheckRun

# The shells' form of the exit code of a program that a signal has ended.
_SIGNALED = 128
_SHOWN = 500  # characters of an error


def ending_of(
    report: Any, code: int, printed: str, left: str, is_cancelled: bool, secrets: Collection[str]
) -> Ending:
    """Return the end of a run; `left` is a sentence about what it has left behind.

    A run that had ended when it was cancelled is finished.
    """
    was_interrupted = code < 0 or code > _SIGNALED
    stored, error = _read(report, secrets)
    if is_cancelled and was_interrupted:
        return Ending(CheckRun.CANCELLED, stored, code, left)
    if stored and not was_interrupted:
        return Ending(CheckRun.FINISHED, stored, code, left)
    explained = error or _explain(code, Redaction(secrets).text(printed))
    text = " ".join(filter(None, [explained, left]))
    return Ending(CheckRun.FAILED, stored, code, text)


def _read(report: Any, secrets: Collection[str]) -> tuple[str, str]:
    """Return the report without secrets as it is stored, and what is wrong with it."""
    if report is None:
        return "", ""
    try:
        read = json_report.from_json(report)
    except BadReport as error:
        return "", f"The report cannot be read: {error}"
    return json_report.render(mask_report(read, secrets)), ""


def _explain(code: int, printed: str) -> str:
    """Return why there is no report: the error that the program printed, or how it ended."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    if code < 0:
        return f"The process of the checks was ended by signal {-code}."
    last = lines[-1].removeprefix("Error: ")[:_SHOWN] if lines else ""
    return last or f"The process of the checks ended with exit code {code}."
