"""Conditions about the present: `status`, `idle`, `out_of_order`. No ORM, no Django."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.conditions import (
    CHANGE,
    Condition,
    Needs,
    Present,
    Verdict,
)
from sandbox.near_misses import (
    FINISHED,
    Difference,
    Entry,
    NearMiss,
)


@dataclass(slots=True)
class Status(Condition):
    """An object has a status now."""

    object: str
    status: str
    _change: Entry | None = None

    def feed(self, entry: Entry) -> None:
        """Keep the change to the status as evidence."""
        if entry["kind"] == CHANGE and entry["object"] == self.object:
            self._change = entry if entry["data"]["to"] == self.status else None

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True while the object has the status."""
        if present is None:
            return None
        return True if present.statuses.get(self.object) == self.status else None

    def describe(self) -> str:
        return f"{self.object} with status {self.status}"

    def evidence(self) -> list[Entry]:
        """Return the change to the status, if it was made since the cursor."""
        return [] if self._change is None else [self._change]

    def needs(self) -> Needs:
        return Needs(objects=frozenset([self.object]))

    def about(self) -> frozenset[str]:
        return frozenset([self.object])

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield the object with its present status."""
        actual = present.statuses.get(self.object)
        if actual != self.status:
            difference = Difference("status", self.status, actual or "no such object")
            yield NearMiss((difference,), object=self.object)


@dataclass(slots=True)
class Idle(Condition):
    """Nothing is due, in flight or planned."""

    def feed(self, entry: Entry) -> None:
        """Do nothing: it is about the present."""

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True while the sandbox is idle."""
        return True if present is not None and present.idle else None

    def describe(self) -> str:
        return "an idle sandbox"

    def needs(self) -> Needs:
        """Return that it needs the sandbox's state."""
        return Needs(idle=True)

    def about(self) -> frozenset[str]:
        """Return no objects."""
        return frozenset()


@dataclass(slots=True)
class OutOfOrder(Condition):
    """A webhook is out of order now."""

    webhook: str
    _attempt: Entry | None = None
    _latest: Entry | None = None

    def feed(self, entry: Entry) -> None:
        """Keep the attempt that made it out of order as evidence."""
        if entry["kind"] != FINISHED or entry["webhook"] != self.webhook:
            return
        self._latest = entry
        if not entry["data"]["out_of_order"]:
            self._attempt = None
        elif self._attempt is None:
            self._attempt = entry

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True while the webhook is out of order."""
        return True if present is not None and present.out_of_order.get(self.webhook) else None

    def describe(self) -> str:
        return f"{self.webhook} out of order"

    def evidence(self) -> list[Entry]:
        """Return the attempt that made it out of order, if it ended since the cursor."""
        return [] if self._attempt is None else [self._attempt]

    def needs(self) -> Needs:
        return Needs(webhooks=frozenset([self.webhook]))

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield the webhook, with its latest attempt."""
        if present.out_of_order.get(self.webhook):
            return
        actual = "not out of order" if self.webhook in present.out_of_order else "no such webhook"
        if self._latest is not None:
            actual = f"{actual}; {self._latest['data']['why']}"
        difference = Difference("state", "out of order", actual)
        yield NearMiss((difference,), self._latest, webhook=self.webhook)
