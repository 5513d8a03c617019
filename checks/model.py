"""What a check is, and what comes of running it. No Django: `connect-sim check` imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from checks.outcomes import Exhibit, Outcome, Verdict

if TYPE_CHECKING:
    # What reads reports runs no checks.
    from checks.lab import Lab

__all__ = [
    "Alternative",
    "Check",
    "Exhibit",
    "InReading",
    "Level",
    "Need",
    "Outcome",
    "Report",
    "Result",
    "Verdict",
]


class Level(StrEnum):
    """How much a handler needs it; only MUST counts, with `--strict` SHOULD too."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Need(StrEnum):
    """What a check needs of the run; it is skipped where that is missing."""

    EVENT = "event"
    VALIDATOR = "validator"
    EXTENSION = "extension"
    PROCESS = "run"
    DEEP = "deep"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `group.name`, and texts that are understood on their own.

    The group's control runs first; without its pass, nothing else of the group is judged. Checks
    with the same `measurement` share what the first of them has measured: they run in one lane.
    `extension` makes the experiment with the tasks of an extension, None where it doesn't apply.
    """

    id: str
    level: Level
    title: str
    sends: str
    expects: str
    why: str
    fix: str
    run: Callable[[Lab], Verdict] = field(repr=False)
    is_control: bool = False
    needs: frozenset[Need] = frozenset({Need.EVENT})
    measurement: str = ""
    extension: Callable[[Lab], Verdict] | None = field(default=None, repr=False)

    @property
    def group(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    def matches(self, globs: Iterable[str]) -> bool:
        """Return whether its id is one of those that the globs name."""
        return any(fnmatchcase(self.id, glob) for glob in globs)


@dataclass(frozen=True, slots=True)
class Result:
    """A check with its verdict; `seconds` of real time, `reproduce` a command line.

    `known_until` is the expiry date of a known failure of the baseline, which doesn't count.
    A prerequisite is the control of a group of which other checks were selected; it isn't counted.
    `trace` is the path of the trace of a failure, if one was written.
    """

    check: Check
    verdict: Verdict
    seconds: float
    reproduce: str
    known_until: date | None = None
    is_prerequisite: bool = False
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Alternative:
    """An answer to a question that public sources about Connect leave open.

    `reading` is the question's id, `text` what the answer means, `checks` are the ids of the checks
    that it can change.
    """

    reading: str
    value: str
    text: str
    checks: tuple[str, ...] = ()

    @property
    def choice(self) -> str:
        """Return it as it is chosen: `jwt_header=authorization`."""
        return f"{self.reading}={self.value}"


@dataclass(frozen=True, slots=True)
class InReading:
    """The results in an alternative, of checks that pass without it; `error` ended them."""

    alternative: Alternative
    results: tuple[Result, ...] = ()
    error: str = ""

    @property
    def failures(self) -> tuple[Result, ...]:
        """Return the failures, each of which the alternative has caused."""
        return tuple(each for each in self.results if each.verdict.outcome is Outcome.FAIL)

    @property
    def outcome(self) -> Outcome:
        """Return whether the handler passes in the alternative."""
        if self.failures:
            return Outcome.FAIL
        passed = [each for each in self.results if each.verdict.outcome is Outcome.PASS]
        is_judged = passed and len(passed) == len(self.results) and not self.error
        return Outcome.PASS if is_judged else Outcome.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Report:
    """All results of a run, in the order of the catalog.

    `target` is the handler's URL or command, `started_at` ISO 8601 in UTC. `error` says why the
    run could not begin or go on; `output` is the end of what the handler printed, `notes` are
    sentences about the run, such as that a known failure has expired. `readings`
    are the results in other readings.
    """

    target: str
    version: str
    started_at: str
    seconds: float
    seed: int
    strict: bool
    results: tuple[Result, ...]
    error: str = ""
    output: str = ""
    notes: tuple[str, ...] = ()
    readings: tuple[InReading, ...] = ()
