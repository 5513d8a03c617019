"""`make checks-matrix`: run all checks of all broken handlers, and compare with the variants.

A run takes hours. It writes `var/checks-matrix.json` after each group of checks of a handler, so
that it goes on where it was interrupted, unless checks or handlers have changed since.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from checks.model import Check, Need
from tests.checks import running, sandboxes
from tests.checks.handlers.lookups import REFERENCE
from tests.checks.running import CHECKS
from tests.checks.variants import VARIANTS, Variant
from tests.processes import ROOT

STATE = ROOT / "var" / "checks-matrix.json"
_SOURCES = (ROOT / "checks", ROOT / "tests" / "checks")
# Seconds in which all moments of a group's checks can be tried.
_ALL_MOMENTS = 600.0
ALL = (Variant(REFERENCE, ()), *VARIANTS)


@dataclass
class Part:
    """One group of checks of one handler: the outcomes by id, and what differs from the table."""

    outcomes: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class State:
    """The parts that have been run, by handler and group; several threads write it."""

    def __init__(self, version: str) -> None:
        self._lock = threading.Lock()
        content = json.loads(STATE.read_text()) if STATE.exists() else {}
        is_current = content.get("version") == version
        self._version = version
        self._parts = (
            {key: Part(**part) for key, part in content["parts"].items()} if is_current else {}
        )

    def find(self, variant: Variant, group: str) -> Part | None:
        """Return a part that was run."""
        return self._parts.get(f"{variant.name} {group}")

    def put(self, variant: Variant, group: str, part: Part) -> None:
        """Store a part."""
        with self._lock:
            self._parts[f"{variant.name} {group}"] = part
            parts = {key: asdict(each) for key, each in sorted(self._parts.items())}
            STATE.parent.mkdir(exist_ok=True)
            draft = STATE.with_suffix(".draft")
            draft.write_text(json.dumps({"version": self._version, "parts": parts}, indent=1))
            draft.replace(STATE)


def current_version() -> str:
    """Return a hash of the checks and the handlers."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in _SOURCES for path in folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and return 0 if everything is as the table says."""
    options = _options(arguments)
    state = State(current_version())
    missing = [(variant, group) for variant, group in parts() if state.find(variant, group) is None]
    chosen = [
        (variant, group)
        for variant, group in missing
        if variant.name in (options.handlers or [variant.name])
        and group in (options.groups or [group])
    ]
    print(f"{len(missing)} parts are missing, {len(chosen)} of them are run.", flush=True)
    if chosen:
        with (
            sandboxes.started(options.jobs) as started,
            sandboxes.lent(started),
            ThreadPoolExecutor(options.jobs) as pool,
        ):
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


def parts() -> list[tuple[Variant, str]]:
    """Return each handler with each of its groups."""
    return [(variant, group) for variant in ALL for group in groups_of(variant)]


def _run(state: State, variant: Variant, group: str) -> None:
    began = time.monotonic()
    part = Part()
    report = running.run(
        variant.name,
        [f"{group}.*"],
        is_validator=group == "validator",
        budget=_ALL_MOMENTS if _fails(variant, group) else running.BUDGET,
    )
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


def _fails(variant: Variant, group: str) -> bool:
    """Return whether a handler fails checks of a group, or is the one that fails none."""
    return variant.name == REFERENCE or any(id.startswith(f"{group}.") for id in variant.breaks)


def _finish(state: State) -> int:
    """Print what differs from the table, and what is missing."""
    found = {(variant.name, group): state.find(variant, group) for variant, group in parts()}
    wrong = [f"{name}: {each}" for (name, _), part in found.items() if part for each in part.wrong]
    missing = sum(part is None for part in found.values())
    print(*wrong, f"{missing} parts are missing, {len(wrong)} outcomes differ.", sep="\n")
    return int(bool(wrong or missing))


if __name__ == "__main__":
    sys.exit(main())
