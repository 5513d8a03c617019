"""Which checks failed in the runs of a working folder: the file that `--last-failed` reads.

{"format": 1, "failed": ["auth.no_header", "crash.control"]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from checks.model import Check, Outcome, Report

FILE = Path(".connect-sim-check.json")  # in the working folder
_FORMAT = 1


class NoFailures(ValueError):
    """There is nothing to run again; the message says why, on one line."""


def read(checks: Iterable[Check], path: Path = FILE) -> tuple[str, ...]:
    """Return globs of what failed last; raises NoFailures.

    Without its control, nothing of a group was judged, so the whole group is run again.
    """
    failed = _failed(path)
    globs = [
        f"{check.group}.*" if check.is_control else check.id
        for check in checks
        if check.id in failed
    ]
    if not globs:
        raise NoFailures(f"{path} names no check: none has failed in this folder since it passed.")
    return tuple(globs)


def write(report: Report, path: Path = FILE) -> None:
    """Note what failed in a run, and forget what passed; raises OSError."""
    try:
        before = _failed(path)
    except NoFailures:
        before = set()
    outcomes = {each.check.id: each.verdict.outcome for each in report.results}
    controls = {each.check.id for each in report.results if each.check.is_control}
    failed = before - {pk for pk, outcome in outcomes.items() if outcome is Outcome.PASS}
    failed |= {
        pk
        for pk, outcome in outcomes.items()
        if outcome is Outcome.FAIL or (pk in controls and outcome is not Outcome.PASS)
    }
    if failed:
        path.write_text(json.dumps({"format": _FORMAT, "failed": sorted(failed)}, indent=2) + "\n")
    elif before:
        path.unlink()


def _failed(path: Path) -> set[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] == _FORMAT:
            return {str(each) for each in content["failed"]}
    except FileNotFoundError:
        raise NoFailures(f"There is no {path}: no check has failed in this folder.") from None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        pass
    raise NoFailures(f"{path} cannot be read. Delete it, and run all checks.")
