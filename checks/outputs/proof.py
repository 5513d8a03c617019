"""The verdict on a change: whether it repairs what failed before, and breaks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.model import Outcome, Report, Result
from checks.outputs.marks import Mark, marked
from checks.trees import Tree

_SHOWN = 5  # ids of a part of the reason


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a change is proven, why in one sentence, and which checks it was to repair."""

    is_proven: bool
    reason: str
    selected: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """The exit code of `connect-sim check prove`."""
        return 0 if self.is_proven else 1

    @property
    def word(self) -> str:
        """The verdict."""
        return "Proven" if self.is_proven else "Not proven"


@dataclass(frozen=True, slots=True)
class Proof:
    """The same checks, with the same seed, of two trees; `command` repeats them."""

    trees: tuple[Tree, Tree]
    before: Report
    now: Report
    decision: Decision
    command: str

    @property
    def notes(self) -> list[str]:
        """Sentences about what the trees lack."""
        return list(dict.fromkeys(note for tree in self.trees for note in tree.notes))

    @property
    def pairs(self) -> list[tuple[Result, Result]]:
        """The results of each check before and now, in the order of the catalog."""
        now = by_id(self.now)
        return [(each, now[each.check.id]) for each in self.before.results if each.check.id in now]

    @property
    def changed(self) -> list[tuple[Result, Result]]:
        """The pairs of what is selected, or ended in another way."""
        selected = self.decision.selected
        return [
            (first, second)
            for first, second in self.pairs
            if first.check.id in selected or first.verdict.outcome is not second.verdict.outcome
        ]


def decide(before: Report, now: Report, globs: Sequence[str] = ()) -> Decision:
    """Decide about two reports of the same checks.

    `globs` select what the change was to repair: each check that is named by its id, and what a
    glob matches and failed before, at least one check of each. Without them it is what failed
    before, and counts.
    """
    first, second = by_id(before), by_id(now)
    named = [glob for glob in globs if glob in first]
    failed = [each.check for each in before.results if each.verdict.outcome is Outcome.FAIL]
    if globs:
        chosen = {check.id for check in failed if check.matches(globs)} | set(named)
    else:
        chosen = {each.check.id for each in marked(before, Mark.FAIL)}
    selected = [id for id in first if id in chosen]

    def ids(among: Iterable[str], then: Iterable[Outcome], later: Iterable[Outcome]) -> list[str]:
        return [i for i in among if outcome(first, i) in then and outcome(second, i) in later]

    unjudged = [Outcome.INCONCLUSIVE, Outcome.SKIPPED]
    every, fail, passed = [*Outcome], [Outcome.FAIL], [Outcome.PASS]
    found = {
        "passed before and now {fail}": ids(first, passed, fail),
        "failed before and still {fail}": ids(selected, fail, fail),
        "failed before and {was} not judged now": ids(selected, fail, unjudged),
        "passed before and {was} not judged now": ids(first, passed, unjudged),
        "{was} not judged before and now {fail}": ids(first, [Outcome.INCONCLUSIVE], fail),
        "did not fail before, but passed": ids(named, passed, every),
        "did not fail before, but {was} not judged": ids(named, unjudged, every),
    }
    problems = [f"{_names(each)} {_fill(text, each)}" for text, each in found.items() if each]
    for glob in globs:
        if glob not in named and not any(check.matches([glob]) for check in failed):
            problems.append(f"No check of {glob} failed before")
    if not globs and not selected:
        problems.append("No check that counts failed before")
    if problems:
        return Decision(False, f"{'; '.join(problems)}.", tuple(selected))
    verb = "passes" if len(selected) == 1 else "pass"
    reason = f"{_names(selected)} failed before and now {verb}; nothing that passed before fails."
    return Decision(True, reason, tuple(selected))


def by_id(report: Report) -> dict[str, Result]:
    """Return the results by the ids of their checks."""
    return {each.check.id: each for each in report.results}


def outcome(results: dict[str, Result], check: str) -> Outcome:
    """Return how a check ended; one that was not run has been skipped."""
    return results[check].verdict.outcome if check in results else Outcome.SKIPPED


def _names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _fill(text: str, ids: Sequence[str]) -> str:
    is_one = len(ids) == 1
    return text.format(fail="fails" if is_one else "fail", was="was" if is_one else "were")
