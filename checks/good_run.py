"""One good run of a handler: the API calls that it makes for one order, and their effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from checks.history import Call, Effects, History
from checks.lab import Lab
from checks.outcomes import Exhibit


class NoGoodRun(Exception):
    """A genuine request for one order did not lead to its approval."""


@dataclass(frozen=True, slots=True)
class Step:
    """One API call of a good run: the `occurrence`-th of its method and path, from 1."""

    place: int
    method: str
    pattern: str
    occurrence: int
    is_read: bool

    @property
    def text(self) -> str:
        """The step for a sentence."""
        which = f" (no. {self.occurrence})" if self.occurrence > 1 else ""
        return f"{self.method} {self.pattern}{which}"

    @property
    def scope(self) -> dict[str, Any]:
        """The scope of a fault that concerns calls of this kind."""
        return {"side": "api", "method": self.method, "path": self.pattern}


@dataclass(frozen=True, slots=True)
class GoodRun:
    """The steps of a good run, and what became of its order."""

    steps: tuple[Step, ...]
    effects: Effects
    happened: History

    @property
    def reads(self) -> tuple[Step, ...]:
        """The steps that change nothing."""
        return tuple(step for step in self.steps if step.is_read)

    def writes_after(self, read: Step) -> tuple[Step, ...]:
        """Return the steps after one that may change something."""
        return tuple(s for s in self.steps if not s.is_read and s.place > read.place)

    def exhibit(self) -> Exhibit:
        return self.happened.exhibit("API calls of a good run")


def record(lab: Lab, *, by_platform: bool) -> GoodRun:
    """Let the handler process one order, without faults; raises NoGoodRun.

    With `by_platform` the platform calls the handler because of the order, else the check.
    """
    if by_platform:
        lab.activate()
    mark = lab.mark()
    order = lab.order()
    before = lab.values(order) if not by_platform else {}
    if not by_platform:
        lab.send()
    lab.wait_finished([order])
    happened = lab.after(mark)
    effects = lab.effects(order, happened, before)
    if effects.status != "approved":
        raise NoGoodRun(f"{order} is {effects.status} after a genuine request.")
    return GoodRun(steps(happened.calls), effects, happened)


def steps(calls: Sequence[Call]) -> tuple[Step, ...]:
    """Return API calls as steps."""
    counts: dict[tuple[str, str], int] = {}
    result = []
    for place, call in enumerate(calls):
        key = call.method, call.pattern
        counts[key] = counts.get(key, 0) + 1
        result.append(Step(place, *key, counts[key], call.is_read))
    return tuple(result)


def difference(good: Effects, effects: Effects) -> str:
    """Return in what the effects of a run differ from a good one's, or an empty text.

    Ids and values may differ. A second approve call is a difference only if it succeeded.
    """
    if effects.status != good.status:
        return f"it is {effects.status} instead of {good.status}"
    missing = sorted(good.params.keys() - effects.params.keys())
    if missing:
        return f"{', '.join(missing)} has no value"
    more = sorted(effects.params.keys() - good.params.keys())
    if more:
        return f"{', '.join(more)} has a value, which a good run leaves empty"
    if effects.overwritten:
        return f"a second value was sent for {', '.join(effects.overwritten)}"
    if effects.successful_approvals > 1:
        return f"it was approved {effects.successful_approvals} times"
    if effects.other_actions:
        return f"{', '.join(effects.other_actions)} was called on the way"
    return ""
