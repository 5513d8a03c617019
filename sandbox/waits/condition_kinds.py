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
    STARTED,
    TASK,
    Condition,
    Difference,
    Entry,
    History,
    NearMiss,
    Needs,
    ObjectKind,
    Present,
    Subject,
    Verdict,
    count_of,
    moment_of,
    order_of,
    outcome_of,
    outcome_of_task,
    result_of,
)

_EVIDENCE = 100  # entries that `called` keeps as evidence


@dataclass(slots=True)
class Attempted(Condition):
    """An attempt succeeded (`delivered`) or failed (`failed`)."""

    name: str
    subject: Subject
    attempts_at_most: int | None = None
    _found: Entry | None = None

    def feed(self, entry: Entry) -> None:
        """Take an entry into account."""
        is_new = self._found is None and entry["kind"] == FINISHED
        if is_new and self.subject.matches(entry) and not any(self._differ(entry)):
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

    def reason(self, history: History) -> str:
        if last := history.last_attempt(self.subject):
            return outcome_of(last)
        before = history.last(lambda e: e["kind"] == FINISHED and self.subject.matches(e))
        since = f" since the cursor; before it, {outcome_of(before)}" if before else ""
        return f"there was no request {self.subject.phrase}{since}"

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the attempts that differ."""
        if self._found is None:
            yield from history.misses(self.subject, self._differ)

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

    def reason(self, history: History) -> str:
        count = count_of(self._count, "request") if self._count else "no request"
        text = f"there {'were' if self._count > 1 else 'was'} {count} {self.subject.phrase}"
        last = history.last_attempt(self.subject)
        if last is not None and last["kind"] != FINISHED:
            text = f"{text}, and {outcome_of(last)}"
        return text

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the attempts that were counted, or that differ."""
        if self.verdict() is not True:
            yield from history.misses(self.subject, self._differ)

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
    kind: ObjectKind
    _change: Entry | None = None

    def feed(self, entry: Entry) -> None:
        """Keep the change to the status as evidence."""
        if entry["kind"] == CHANGE and entry["object"] == self.object:
            self._change = entry if entry["data"]["to"] == self.status else None

    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return True while the object has the status, False in another one that is final."""
        actual = None if present is None else present.statuses.get(self.object)
        if actual == self.status:
            return True
        return False if actual in self.kind.final else None

    def describe(self) -> str:
        return f"{self.object} with status {self.status}"

    def evidence(self) -> list[Entry]:
        """Return the change to the status, if it was made since the cursor."""
        return [] if self._change is None else [self._change]

    def needs(self) -> Needs:
        return Needs(objects=frozenset([self.object]))

    def about(self) -> frozenset[str]:
        return frozenset([self.object])

    def reason(self, history: History) -> str:
        """Return its status, since when, and what came of its last delivery."""
        actual = history.present.statuses.get(self.object)
        if actual is None:
            return f"{self.object} does not exist any more"
        if actual in self.kind.final:
            return f"{self.object} is {actual}, which is final"
        change = history.last(lambda e: e["kind"] == CHANGE and e["object"] == self.object)
        text = f"{self.object} is {actual}"
        if change is not None:
            text = f"{self.object} has been {actual} since {moment_of(change)}"
        if not self.kind.has_deliveries:
            return text
        last = history.last_attempt(Subject(None, self.object), since_cursor=False)
        if last is None:
            return f"{text}; there was no request about it"
        note = history.note(last) if result_of(last) == "delivered" else ""
        return f"{text}; {outcome_of(last)}{f' ({note})' if note else ''}"

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the object with its present status."""
        actual = history.present.statuses.get(self.object)
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

    def reason(self, history: History) -> str:
        left = "; ".join(text.rstrip(".") for text in history.unsettled)
        return f"the sandbox is not idle: {left or 'more is planned'}"

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

    def reason(self, history: History) -> str:
        if self.webhook not in history.present.out_of_order:
            return f"{self.webhook} does not exist any more"
        last = f"; {self._latest['data']['why'].rstrip('.')}" if self._latest else ""
        return f"{self.webhook} is not out of order{last}"

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the webhook, with its latest attempt."""
        if not history.present.out_of_order.get(self.webhook):
            actual = self.reason(history).removeprefix(f"{self.webhook} is ")
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

    def reason(self, history: History) -> str:
        """Return the reasons of the parts that are not true."""
        parts = (each for part in self.parts for each in part.unmet(history))
        return "; ".join(dict.fromkeys(part.reason(history) for part in parts))

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the near misses of the parts."""
        for part in self.parts:
            yield from part.misses(history)

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

    def unmet(self, history: History) -> list[Condition]:
        """Return the parts that are not true."""
        return [each for part in self.parts for each in part.unmet(history)]


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

    def reason(self, history: History) -> str:
        """Return what made a part come true."""
        if not self._has_happened:
            return "its span of platform time has not passed"
        if not self._happened:
            return f"it was so already: {self._joined('any')}"
        entry = self._happened[-1]
        if entry["kind"] == CHANGE:
            return f"{entry['object']} became {entry['data']['to']} at {moment_of(entry)}"
        if entry["kind"] == TASK:
            return outcome_of_task(entry)
        key = (STARTED, entry["delivery"], entry["attempt"])
        start = history.last(lambda e: (e["kind"], e["delivery"], e["attempt"]) == key)
        return outcome_of(entry, start)

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield the entries that made a part come true."""
        if not self._has_happened:
            return
        for entry in self._happened:
            yield NearMiss((Difference("happened", "never", moment_of(entry)),), entry)
        if not self._happened:
            yield NearMiss((Difference("happened", "never", "before the wait"),))

    def _look(self, present: Present | None) -> None:
        if self._has_happened:
            return
        for part in self.parts:
            if part.verdict(present):
                self._has_happened = True
                self._happened += part.evidence()
