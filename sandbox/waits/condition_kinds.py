"""The kinds of conditions. No ORM, no Django.

About attempts since the cursor: `delivered`, `failed`, `called`. About the present: `status`,
`idle`, `out_of_order`. Made of others: `all`, `any`, `never`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sandbox.waits.conditions import (
    CHANGE,
    FINISHED,
    Condition,
    Difference,
    Entry,
    NearMiss,
    Needs,
    Present,
    Verdict,
    attempt_misses,
    count_of,
    order_of,
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
            error = entry["data"].get("error") or ""
            text = f"{actual}: {error}" if error else actual
            yield Difference("outcome", self.name, text)
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


class Several(Condition):
    """A condition of others."""

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts = parts

    def feed(self, entry: Entry) -> None:
        for part in self.parts:
            part.feed(entry)

    def evidence(self) -> list[Entry]:
        """Return the entries of the parts that are true, each once, in order."""
        by_cursor: dict[str, Entry] = {}
        for part in self.parts:
            for entry in part.evidence():
                by_cursor.setdefault(entry["cursor"], entry)
        return sorted(by_cursor.values(), key=lambda entry: order_of(entry["cursor"]))

    def needs(self) -> Needs:
        needs = Needs()
        for part in self.parts:
            needs |= part.needs()
        return needs

    def about(self) -> frozenset[str] | None:
        """Return the objects of all parts."""
        parts = [part.about() for part in self.parts]
        known = [objects for objects in parts if objects is not None]
        return frozenset().union(*known) if len(known) == len(parts) else None

    def has_never(self) -> bool:
        """Whether a part contains `never`."""
        return any(part.has_never() for part in self.parts)

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield the near misses of the parts."""
        for part in self.parts:
            yield from part.misses(attempts, early, present)

    def _joined(self, word: str) -> str:
        if len(self.parts) == 1:
            return self.parts[0].describe()
        return f"{word} of ({'; '.join(part.describe() for part in self.parts)})"


class All(Several):
    """All conditions are true at the same time."""

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True if all are true, False if one cannot come true."""
        verdicts = [part.verdict(present, ended=ended) for part in self.parts]
        if False in verdicts:
            return False
        return True if all(verdicts) else None

    def describe(self) -> str:
        return self._joined("all")

    def unmet(self, present: Present, *, ended: bool = False) -> list[str]:
        """Return the parts that are not true."""
        return [text for part in self.parts for text in part.unmet(present, ended=ended)]


class Any_(Several):
    """At least one condition is true."""

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True if one is true, False if none can come true."""
        verdicts = [part.verdict(present, ended=ended) for part in self.parts]
        if True in verdicts:
            return True
        return False if all(verdict is False for verdict in verdicts) else None

    def describe(self) -> str:
        return self._joined("any")


class Never(Several):
    """None of the conditions comes true before the time span has passed."""

    def __init__(self, parts: Sequence[Condition]) -> None:
        super().__init__(parts)
        self._happened: list[Entry] = []
        self._has_happened = False
        self._look(None)

    def feed(self, entry: Entry) -> None:
        """Feed all parts; a part that is true for a moment only counts, too."""
        super().feed(entry)
        self._look(None)

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return False once a part has come true, True when the time span has passed."""
        self._look(present)
        if self._has_happened:
            return False
        return True if ended else None

    def describe(self) -> str:
        return f"never {self._joined('any')}"

    def evidence(self) -> list[Entry]:
        """Return nothing: no entry shows what did not happen."""
        return []

    def has_never(self) -> bool:
        return True

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield the entries that made a part come true."""
        if not self._has_happened:
            return
        difference = (Difference("never", "not to happen", "happened"),)
        for entry in self._happened:
            yield NearMiss(difference, entry)
        if not self._happened:
            yield NearMiss((Difference("never", "not to happen", self._joined("any")),))

    def _look(self, present: Present | None) -> None:
        if self._has_happened:
            return
        for part in self.parts:
            if part.verdict(present):
                self._has_happened = True
                self._happened += part.evidence()
