"""The conditions about tasks of extensions since the cursor: `task` and `rescheduled`. No ORM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.waits.conditions import (
    TASK,
    Condition,
    Difference,
    Entry,
    History,
    NearMiss,
    Present,
    Subject,
    Verdict,
    outcome_of_task,
    task_result_of,
    tasks_of,
)

# What a task ends with; `lost` with its runner or on its way.
RESULTS = ("success", "fail", "skip", "reschedule", "retry", "lost")
RESCHEDULE = "reschedule"


@dataclass(slots=True)
class TaskEnded(Condition):
    """A task about an object, of any type or of one, ended with a result."""

    object: str
    type: str | None
    result: str
    _found: Entry | None = None

    def feed(self, entry: Entry) -> None:
        """Take an entry into account."""
        is_new = self._found is None and entry["kind"] == TASK
        if is_new and entry["object"] == self.object and not any(self._differ(entry)):
            self._found = entry

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True once there is such a task."""
        return True if self._found is not None else None

    def describe(self) -> str:
        if self.result == RESCHEDULE:
            return f"{self._phrase} to be rescheduled"
        return f"{self._phrase} to end with {self.result}"

    @property
    def _phrase(self) -> str:
        return f"a task{f' {self.type}' if self.type else ''} about {self.object}"

    def evidence(self) -> list[Entry]:
        return [] if self._found is None else [self._found]

    def reason(self, history: History) -> str:
        def is_meant(entry: Entry) -> bool:
            return (
                entry["kind"] == TASK
                and entry["object"] == self.object
                and self.type in (None, entry["data"]["type"])
            )

        since = [entry for entry in history.entries if is_meant(entry)]
        if since:
            return outcome_of_task(since[-1])
        before = history.last(is_meant)
        ending = f" since the cursor; before it, {outcome_of_task(before)}" if before else ""
        return f"there was no{self._phrase.removeprefix('a')}{ending}"

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the tasks about the object that differ."""
        if self._found is None:
            yield from history.misses(Subject(None, self.object), self._differ, tasks_of)

    def _differ(self, entry: Entry) -> Iterator[Difference]:
        data = entry["data"]
        if self.type not in (None, data["type"]):
            yield Difference("type", str(self.type), data["type"], 3)
        actual = task_result_of(entry)
        if actual != self.result:
            message = data.get("message") or ""
            yield Difference("result", self.result, f"{actual}: {message}" if message else actual)
