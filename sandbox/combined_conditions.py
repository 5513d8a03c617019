"""Conditions made of others: `all`, `any`, `never`. No ORM, no Django."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandbox.conditions import (
    Condition,
    Needs,
    Present,
    Verdict,
)
from sandbox.near_misses import (
    Difference,
    Entry,
    NearMiss,
    order_of,
)


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
