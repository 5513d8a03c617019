"""The checks in words: the texts of `--list` and `--explain`."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from checks.model import Check, Need
from checks.outputs.marks import check_groups

_WIDTH = 100
NEEDS = {
    Need.EVENT: "a handler of events",
    Need.VALIDATOR: "a validator (--type validator)",
    Need.EXTENSION: "an extension (--extension)",
    Need.PROCESS: "a handler that the check starts (--run)",
    Need.DEEP: "--deep",
}


class UnknownCheck(ValueError):
    """There is no check with this id; the message, one line, names similar ones."""


def find(checks: Iterable[Check], check_id: str) -> Check:
    """Return the check with an id; raises UnknownCheck."""
    by_id = {check.id: check for check in checks}
    if check_id in by_id:
        return by_id[check_id]
    names = [*by_id, *{check.group for check in by_id.values()}]
    similar = difflib.get_close_matches(check_id, names, n=3)
    hint = f"Similar: {', '.join(similar)}." if similar else "--list shows all checks."
    raise UnknownCheck(f"There is no check {check_id[:80]!r}. {hint}")


def list_lines(checks: Sequence[Check]) -> Iterator[str]:
    """Yield a line per check, grouped, and how many there are."""
    if not checks:
        yield "No check is selected."
        return
    width = max(len(check.id) for check in checks)
    for group, members in check_groups(checks).items():
        yield group
        for check in members:
            yield f"  {check.id:{width}}  {check.level.value:6}  {check.title}{_note(check)}"
        yield ""
    yield f"{len(checks)} check{'' if len(checks) == 1 else 's'}."


def _note(check: Check) -> str:
    notes = ["control"] if check.is_control else []
    notes += [f"needs {NEEDS[need]}" for need in additional_needs(check)]
    return f" ({', '.join(notes)})" if notes else ""


def additional_needs(check: Check) -> list[Need]:
    """Return what a check needs besides a handler of its type, in a fixed order."""
    return [need for need in Need if need in check.needs and need in (Need.PROCESS, Need.DEEP)]


def needs(check: Check) -> str:
    """Return all that a check needs, for a sentence."""
    texts = {need: NEEDS[need] for need in Need if need in check.needs}
    if check.extension and Need.EVENT in texts:
        # An extension is always started by the check.
        texts[Need.EVENT] += f" or {NEEDS[Need.EXTENSION]}"
    return ", ".join(texts.values())


def explain_lines(check: Check) -> Iterator[str]:
    """Yield all texts of a check."""
    yield f"{check.id}: {check.title}"
    yield ""
    yield from _paragraph("Level", _level(check))
    yield from _paragraph("Needs", needs(check))
    yield from _paragraph("Sent", check.sends)
    yield from _paragraph("Expected", check.expects)
    yield from _paragraph("Why", check.why)
    yield from _paragraph("Fix", check.fix)[:-1]


def _level(check: Check) -> str:
    meaning = {
        "MUST": "MUST: a failure counts.",
        "SHOULD": "SHOULD: a failure counts with --strict.",
        "MAY": "MAY: a failure is a warning.",
    }[check.level.value]
    if check.is_control:
        meaning += " Control: the other checks of the group are judged only if it passes."
    return meaning


def _paragraph(label: str, text: str) -> list[str]:
    return [*textwrap.wrap(f"{label}: {text}", _WIDTH, break_long_words=False), ""]
