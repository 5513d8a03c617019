"""Conditions about attempts since the cursor: `delivered`, `failed`, `called`. No ORM."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sandbox.conditions import (
    Condition,
    Present,
    Verdict,
    count_of,
)
from sandbox.near_misses import (
    FINISHED,
    Difference,
    Entry,
    NearMiss,
    attempt_misses,
)

_EVIDENCE = 100  # entries that `called` keeps as evidence


@dataclass(frozen=True, slots=True)
class Subject:
    """What an attempt is about: a webhook, an object, or both."""

    webhook: str | None
    object: str | None

    def matches(self, entry: Entry) -> bool:
        """Whether the entry is about it."""
        if self.webhook is not None and entry["webhook"] != self.webhook:
            return False
        return self.object is None or self.object in objects_of(entry)

    def differences(self, entry: Entry) -> Iterator[Difference]:
        """Yield the points in which the entry is about something else."""
        if self.webhook is not None and entry["webhook"] != self.webhook:
            yield Difference("webhook", self.webhook, str(entry["webhook"]), 3)
        objects = objects_of(entry)
        if self.object is not None and self.object not in objects:
            yield Difference("object", self.object, ", ".join(objects) or "none", 3)

    def __str__(self) -> str:
        return " for ".join(part for part in (self.webhook, self.object) if part)


def objects_of(entry: Entry) -> Sequence[str]:
    """Return the objects that an entry is about."""
    several: Sequence[str] = entry["data"].get("objects") or ()
    return several or ([entry["object"]] if entry["object"] else [])


@dataclass(slots=True)
class Attempted(Condition):
    """An attempt succeeded (`delivered`) or failed (`failed`)."""

    name: str
    subject: Subject
    attempts_at_most: int | None = None
    _found: Entry | None = None

    def feed(self, entry: Entry) -> None:
        """Take an entry into account."""
        if self._found is None and entry["kind"] == FINISHED and not any(self._differ(entry)):
            self._found = entry

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True once there is such an attempt."""
        return True if self._found is not None else None

    def describe(self) -> str:
        limit = self.attempts_at_most
        at_most = "" if limit is None else f" in at most {count_of(limit, 'attempt')}"
        what = "a delivery to" if self.name == "delivered" else "a failed attempt of"
        return f"{what} {self.subject}{at_most}"

    def evidence(self) -> list[Entry]:
        return [] if self._found is None else [self._found]

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield the attempts that differ."""
        if self._found is None:
            yield from attempt_misses(attempts, early, self._differ)

    def _differ(self, entry: Entry) -> Iterator[Difference]:
        yield from self.subject.differences(entry)
        actual = result_of(entry)
        if actual != self.name:
            yield Difference("outcome", self.name, actual_text(entry, actual))
        limit = self.attempts_at_most
        if limit is not None and entry["attempt"] is not None and entry["attempt"] > limit:
            yield Difference("attempt", f"at most {limit}", str(entry["attempt"]))


def result_of(entry: Entry) -> str:
    """Return what came of an attempt: `delivered`, `failed`, `in flight` or `pending`."""
    if entry["kind"] != FINISHED:
        return "in flight" if entry["kind"] == "attempt_started" else "pending"
    data = entry["data"]
    if data["outcome"] != "success":
        return "failed"
    # Without a state, another attempt decided about the delivery.
    return "delivered" if data["state"] == "delivered" else "recorded late"


def actual_text(entry: Entry, result: str) -> str:
    """Return a result with the error of the attempt."""
    error = entry["data"].get("error") or ""
    return f"{result}: {error}" if error else result


@dataclass(slots=True)
class Called(Condition):
    """A number of attempts ended, whatever their outcome."""

    subject: Subject
    at_least: int
    at_most: int | None = None
    _count: int = 0
    _latest: deque[Entry] = field(default_factory=lambda: deque(maxlen=_EVIDENCE))

    def feed(self, entry: Entry) -> None:
        """Take an entry into account."""
        if entry["kind"] == FINISHED and self.subject.matches(entry):
            self._count += 1
            self._latest.append(entry)

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return whether the count is right by now; False once there were too many."""
        if self.at_most is not None and self._count > self.at_most:
            return False
        return True if self._count >= self.at_least else None

    def describe(self) -> str:
        if self.at_least == self.at_most:
            number = f"exactly {count_of(self.at_least, 'call')}"
        elif self.at_most is None:
            number = f"at least {count_of(self.at_least, 'call')}"
        elif not self.at_least:
            number = f"at most {count_of(self.at_most, 'call')}"
        else:
            number = f"{self.at_least} to {count_of(self.at_most, 'call')}"
        return f"{number} of {self.subject}"

    def evidence(self) -> list[Entry]:
        """Return the latest of the attempts."""
        return list(self._latest)

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield the attempts that were counted, or that differ."""
        if self.verdict() is not True:
            yield from attempt_misses(attempts, early, self._differ)

    def _differ(self, entry: Entry) -> Iterator[Difference]:
        others = list(self.subject.differences(entry))
        yield from others
        result = result_of(entry)
        if entry["kind"] != FINISHED:
            yield Difference("outcome", "finished", result)
        elif not others:
            expected = self.describe().partition(" of ")[0]
            yield Difference("calls", expected, count_of(self._count, "call"))
