"""How a check ended, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended; `inconclusive` proves nothing in either direction."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One piece of evidence: a title and lines of text, without secrets."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: an outcome and one sentence, with evidence.

    Failures with the same `cause`, a sentence of `causes`, are one fact about the handler. Empty:
    this one's own. `repeated_by` are further words of the command line that repeats it.
    """

    outcome: Outcome
    text: str
    evidence: tuple[Exhibit, ...] = ()
    cause: str = ""
    repeated_by: tuple[str, ...] = ()
