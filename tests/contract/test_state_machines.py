"""Our changes of status are those of CloudBlue's published state machines, but for differences.

The section "State machines" of docs/fidelity.md has a row with a reason for each difference, and
one for each object that isn't compared. A row that is no difference any more is an error.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from tests.contract import state_machines, status_run
from tests.contract.state_machines import Change, Ours
from tests.processes import ROOT
from tests.queue.conftest import platform  # noqa: F401  (fixture)
from tests.queue.platforms import Platform

PAGE = (ROOT / "docs/fidelity.md").read_text()
CONNECT, HERE = "Connect", "here"


def section() -> list[list[str]]:
    """Return the rows of the tables in the page's section about state machines."""
    found = re.search(r"\n## State machines\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
    assert found, "docs/fidelity.md has no section about state machines"
    rows = [line.strip("|").split("|") for line in found[1].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def names(cell: str) -> list[str]:
    """Return the names in a cell: `a`, `b`; a dash is none."""
    return re.findall(r"`([^`]+)`", cell) or [""]


def documented() -> dict[tuple[str, Change], str]:
    """Return the reasons of the differences that the page has, by side and change."""
    found: dict[tuple[str, Change], str] = {}
    for row in section():
        if len(row) == 7:
            about, source, target, who, action, side, reason = row
            assert side in (CONNECT, HERE) and len(reason) > 3, row
            cells = (about, source, target, who, action)
            for values in product(*(names(cell) for cell in cells)):
                key = side, Change(*values)
                assert key not in found, f"twice in docs/fidelity.md: {key}"
                found[key] = reason
    return found


def differences(ours: set[Ours]) -> set[tuple[str, Change]]:
    """Return the changes that only the state machines, or only we have."""
    found = set()
    for about in state_machines.compared():
        theirs = set(state_machines.published(about))
        own = {each for each in ours if each.change.about == about}
        for change in theirs:
            if not any(state_machines.matches(change, each) for each in own):
                found.add((CONNECT, change))
        for each in own:
            is_known = any(state_machines.matches(change, each) for change in theirs)
            stays = each.is_consequence and each.change.source == each.change.target
            if not is_known and not stays:
                found.add((HERE, each.change))
    return found


@pytest.mark.django_db
def test_each_difference_from_the_state_machines_has_a_reason(
    platform: Platform,
) -> None:
    observed = status_run.observed(platform)
    queues = [name for name in state_machines.compared() if name in state_machines.QUEUES]
    declared = {each for name in queues for each in state_machines.declared(name)}
    changes = {each.change for each in declared}
    for change, is_consequence in observed:
        if change.about in queues and change.source and change.target and not is_consequence:
            assert change in changes or change.who == "system", f"not declared: {change}"
    found, reasons = differences(declared | observed), documented()
    missing = sorted(f"{side} only: {change}" for side, change in found - reasons.keys())
    assert not missing, "\n".join(["docs/fidelity.md gives no reason for", *missing])
    stale = sorted(f"{side} only: {change}" for side, change in reasons.keys() - found)
    assert not stale, "\n".join(["docs/fidelity.md has rows that are no difference:", *stale])


def test_each_object_is_compared_or_the_page_says_why_not() -> None:
    skipped = {name: row[1] for row in section() if len(row) == 2 for name in names(row[0])}
    compared = state_machines.compared()
    assert skipped.keys() | {*compared} == state_machines.PUBLISHED.keys()
    assert not skipped.keys() & {*compared}, "compared, and in the list of what is not"
    assert all(skipped.values())
