"""`make checks-matrix`: run all checks of all broken handlers, and write docs/checks-matrix.md.

A run takes an hour or more. It writes `matrix.json` beside this module after each group of checks
of a handler. The file is committed, so that the next run, on any machine, repeats only what has
changed since: a part depends on the group's module, the modules that all checks share, and those of
the handler.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from sandbox.checks.catalog import CHECKS
from sandbox.checks.model import Check, Need
from tests.checks import running, sandboxes
from tests.checks.handlers.lookups import REFERENCE
from tests.checks.matrix_document import DOCUMENT, Cells, render
from tests.checks.matrix_hashes import hash_of_all, hash_of_part
from tests.checks.variants import VARIANTS, Variant
from tests.processes import ROOT

STATE = ROOT / "tests" / "checks" / "matrix.json"
ALL = (Variant(REFERENCE, ()), *VARIANTS)


@dataclass
class Part:
    """One group of checks of one handler: the outcomes by id, and what differs from the table."""

    hash: str
    outcomes: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class State:
    """The parts that have been run, by handler and group; several threads write it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        content = json.loads(STATE.read_text()) if STATE.exists() else {}
        self._parts = {key: Part(**part) for key, part in content.items()}

    def find(self, variant: Variant, group: str) -> Part | None:
        """Return a part unless something it depends on has changed since."""
        part = self._parts.get(f"{variant.name} {group}")
        return part if part and part.hash == hash_of_part(variant.name, group) else None

    def put(self, variant: Variant, group: str, part: Part) -> None:
        with self._lock:
            self._parts[f"{variant.name} {group}"] = part
            draft = STATE.with_suffix(".draft")
            content = {key: asdict(each) for key, each in sorted(self._parts.items())}
            draft.write_text(json.dumps(content, indent=1) + "\n")
            draft.replace(STATE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and write the document if the table is right."""
    options = _options(arguments)
    state = State()
    missing = [(variant, group) for variant, group in parts() if state.find(variant, group) is None]
    chosen = [
        (variant, group)
        for variant, group in missing
        if variant.name in (options.handlers or [variant.name])
        and group in (options.groups or [group])
    ]
    print(f"{len(missing)} parts are missing, {len(chosen)} of them are run.", flush=True)
    if chosen:
        with sandboxes.shared(options.jobs), ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda part: _run(state, *part), chosen))
    return _finish(state)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.checks.matrix", description=__doc__)
    names = ", ".join(variant.name for variant in ALL)
    parser.add_argument("handlers", nargs="*", metavar="handler", help=f"{names}, or all")
    parser.add_argument("--group", action="append", dest="groups", help="a group, or all")
    parser.add_argument("--jobs", type=int, default=3, help="sandboxes at once (default: 3)")
    return parser.parse_args(arguments)


def groups_of(variant: Variant) -> list[str]:
    """Return the groups of checks that are about a handler; the reference handler has all."""
    return list(dict.fromkeys(check.group for check in CHECKS if _concerns(check, variant)))


def _concerns(check: Check, variant: Variant) -> bool:
    if variant.name == REFERENCE:
        return True
    return (Need.VALIDATOR in check.needs) == variant.is_validator


def parts() -> Iterable[tuple[Variant, str]]:
    """Yield each handler with each of its groups."""
    return [(variant, group) for variant in ALL for group in groups_of(variant)]


def _run(state: State, variant: Variant, group: str) -> None:
    began = time.monotonic()
    part = Part(hash_of_part(variant.name, group))
    report = running.run(variant.name, [f"{group}.*"], is_validator=group == "validator")
    if variant.ends_run:
        is_right = variant.ends_run in report.error
        part.wrong = [] if is_right else [f"the run ended with {report.error!r}"]
    else:
        part.outcomes = running.outcomes(report)
        part.wrong = running.surprises(variant, part.outcomes)
        # A handler that ends itself may end the run; then the rest of the group is not judged.
        may_end = variant.breaks and part.outcomes
        part.wrong += [report.error] if report.error and not may_end else []
    part.seconds = round(time.monotonic() - began, 1)
    state.put(variant, group, part)
    print(
        f"{part.seconds:6} s  {variant.name} {group}", *part.wrong, sep="\n          ", flush=True
    )


def _finish(state: State) -> int:
    """Write the document unless a part is missing, or differs from the table."""
    found = {(variant.name, group): state.find(variant, group) for variant, group in parts()}
    wrong = [f"{name}: {each}" for (name, _), part in found.items() if part for each in part.wrong]
    missing = sum(part is None for part in found.values())
    for each in wrong:
        print(each)
    if wrong or missing:
        print(f"{missing} parts are missing, {len(wrong)} outcomes differ from the table.")
        return 1
    cells: Cells = {}
    for (name, _), part in found.items():
        cells.setdefault(name, {}).update(part.outcomes if part else {})
    DOCUMENT.write_text(render(cells, hash_of_all()))
    print(f"{DOCUMENT.relative_to(ROOT)} is written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
