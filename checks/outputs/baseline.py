"""The baseline: a TOML file of known failures, which don't count until a date.

[[known]]
id = "race.same_request"
until = 2027-01-31
reason = "Approvals will be serialized by the rewrite."
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from checks.model import Check, Outcome, Report
from checks.outputs.catalog_texts import UnknownCheck, find

_KEYS = ("id", "until", "reason")
# How long a failure is known that is written to a new baseline.
_DAYS = 90


class BadBaseline(ValueError):
    """A baseline is not valid; the message says where and why, on one line."""


@dataclass(frozen=True, slots=True)
class Known:
    """A known failure; `until` is the last day on which it doesn't count, in UTC."""

    id: str
    until: date
    reason: str


def load(path: Path, checks: Collection[Check]) -> tuple[Known, ...]:
    """Return the known failures of a file; raises BadBaseline."""
    try:
        return read(path.read_text(encoding="utf-8"), checks)
    except OSError as error:
        raise BadBaseline(f"Cannot read the baseline {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadBaseline(f"The baseline {path} is not UTF-8.") from None


def read(text: str, checks: Collection[Check]) -> tuple[Known, ...]:
    """Return the known failures of a file's text, of checks of the catalog; raises BadBaseline."""
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise BadBaseline(f"The baseline is not valid TOML: {reason}.") from None
    if unknown := sorted(content.keys() - {"known"}):
        raise BadBaseline(f"The baseline has an unknown key {unknown[0]!r}; it has only 'known'.")
    entries = content.get("known", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise BadBaseline("The known failures of the baseline are not written as [[known]].")
    known = tuple(_read_entry(each, i, checks) for i, each in enumerate(entries, 1))
    ids = [each.id for each in known]
    if twice := next((each for each in ids if ids.count(each) > 1), None):
        raise BadBaseline(f"The baseline has {twice} twice.")
    return known


def _read_entry(entry: Mapping[str, Any], number: int, checks: Collection[Check]) -> Known:
    place = f"Known failure {number} of the baseline"
    for key in _KEYS:
        if key not in entry:
            raise BadBaseline(f"{place} has no '{key}'.")
    if unknown := sorted(entry.keys() - set(_KEYS)):
        raise BadBaseline(f"{place} has an unknown key {unknown[0]!r}.")
    check_id, until, reason = (entry[key] for key in _KEYS)
    if not isinstance(check_id, str):
        raise BadBaseline(f"{place}: 'id' is not a text.")
    # A datetime is a date too, to Python.
    if type(until) is not date:
        raise BadBaseline(f"{place}: 'until' is not a date, such as 2027-01-31 without quotes.")
    if not isinstance(reason, str) or not reason.strip():
        raise BadBaseline(f"{place}: 'reason' is not a text, or is empty.")
    try:
        check = find(checks, check_id)
    except UnknownCheck as error:
        raise BadBaseline(f"{place}: {error}") from None
    if check.is_control:
        raise BadBaseline(f"{place}: {check_id} is a control, whose failure always counts.")
    return Known(check_id, until, reason)


def apply(report: Report, known: Iterable[Known], today: date) -> Report:
    """Return the report with its known failures marked, and notes on entries to change.

    An expired entry is noted if its check fails, and so counts; an entry whose check passes is
    reported as removable.
    """
    by_id = {each.id: each for each in known}
    results, notes = [], list(report.notes)
    for result in report.results:
        entry = by_id.get(result.check.id)
        if entry and result.verdict.outcome is Outcome.PASS:
            notes.append(f"{entry.id} passes: remove it from the baseline.")
        elif entry and result.verdict.outcome is Outcome.FAIL:
            if today <= entry.until:
                result = replace(result, known_until=entry.until)
            else:
                notes.append(f"{entry.id} fails, and is no longer known since {entry.until}.")
        results.append(result)
    return replace(report, results=tuple(results), notes=tuple(notes))


def render(report: Report, known: Iterable[Known], today: date) -> str:
    """Return the text of a baseline with the failures of a report, controls aside.

    Entries that have not expired stay as they are, unless their check passes; all other failures
    are known for 90 days.
    """
    passed = {each.check.id for each in report.results if each.verdict.outcome is Outcome.PASS}
    entries = {each.id: each for each in known if each.id not in passed}
    for result in report.results:
        if result.verdict.outcome is Outcome.FAIL and not result.check.is_control:
            entry = entries.get(result.check.id)
            if entry is None or entry.until < today:
                reason = entry.reason if entry else f"Failed on {today}."
                until = today + timedelta(days=_DAYS)
                entries[result.check.id] = Known(result.check.id, until, reason)
    tables = (
        f"[[known]]\nid = {_quoted(each.id)}\nuntil = {each.until}\n"
        f"reason = {_quoted(each.reason)}\n"
        for each in entries.values()
    )
    return "\n".join(["# Known failures of connect-sim check.\n", *tables])


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's too, which also wants one for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
