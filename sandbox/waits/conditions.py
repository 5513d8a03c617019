"""Conditions of a wait: parsed from JSON, folded from timeline entries. No ORM, no Django.

    {"delivered": {"webhook": ID, "object": ID, "attempts_at_most": 1}}
    {"failed": {"webhook": ID, "object": ID, "attempts_at_most": 1}}
    {"called": {"webhook": ID, "object": ID, "times": 2}}   (or at_least, at_most)
    {"status": {"object": ID, "is": "approved"}}
    {"idle": true}
    {"out_of_order": WEBHOOK}
    {"all": [...]}, {"any": [...]}, {"never": {...}}

Entries are those of the API (`represent`). `delivered`, `failed` and `called` are
about the entries since the cursor, `status`, `idle` and `out_of_order` about the present. A verdict
is True, False (it cannot come true any more) or None (undecided).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Entry = Mapping[str, Any]

FINISHED = "attempt_finished"


@dataclass(frozen=True, slots=True)
class Difference:
    """A point in which something differs from what a condition requires."""

    field: str
    expected: str
    actual: str
    weight: int = 1

    def represent(self) -> dict[str, str]:
        return {"field": self.field, "expected": self.expected, "actual": self.actual}


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An entry of the timeline, or an object or webhook of the present, and how it differs."""

    differences: tuple[Difference, ...]
    entry: Entry | None = None
    object: str | None = None
    webhook: str | None = None

    @property
    def distance(self) -> int:
        """How much it differs."""
        return sum(each.weight for each in self.differences)

    def represent(self) -> dict[str, Any]:
        about = self.entry or {}
        return {
            "webhook": self.webhook or about.get("webhook"),
            "delivery": about.get("delivery"),
            "attempt": about.get("attempt"),
            "object": self.object or about.get("object"),
            "entry": self.entry,
            "differs": [each.represent() for each in self.differences],
        }


def attempts_of(entries: Iterable[Entry]) -> list[Entry]:
    """Return the last entry of each attempt, and of each delivery that has no attempt."""
    latest: dict[tuple[int, int | None], Entry] = {}
    for entry in entries:
        delivery, attempt = entry["delivery"], entry["attempt"]
        if entry["kind"] == "event":
            latest[delivery, None] = entry
        elif entry["kind"] in ("attempt_started", FINISHED):
            latest.pop((delivery, None), None)
            latest.pop((delivery, attempt), None)
            latest[delivery, attempt] = entry
    return list(latest.values())


def attempt_misses(
    attempts: Iterable[Entry],
    early: Iterable[Entry],
    differ: Callable[[Entry], Iterator[Difference]],
) -> Iterator[NearMiss]:
    """Yield attempts with the points in which they differ."""
    for entry in attempts:
        yield NearMiss(tuple(differ(entry)), entry)
    for entry in early:
        before = Difference("since", "after the cursor", "before it", 2)
        yield NearMiss((*differ(entry), before), entry)


def recency(miss: NearMiss) -> tuple[int, int]:
    """Return a sort key: objects of the present first, then the latest entries."""
    if miss.entry is None:
        return (-(2**63), 0)
    transaction, number = order_of(miss.entry["cursor"])
    return (-transaction, -number)


def order_of(cursor: str) -> tuple[int, int]:
    """Return the sort key of a cursor."""
    transaction, _, number = cursor.partition(".")
    return int(transaction), int(number)


Verdict = bool | None

CHANGE = "change"
KINDS = (CHANGE, FINISHED)  # of the entries that conditions are fed; others are ignored


@dataclass(frozen=True, slots=True)
class Needs:
    """What of the present a condition depends on."""

    objects: frozenset[str] = frozenset()
    webhooks: frozenset[str] = frozenset()
    idle: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.objects | other.objects, self.webhooks | other.webhooks, self.idle or other.idle
        )


@dataclass(frozen=True, slots=True)
class Present:
    """The present: statuses of objects (None: no such object), webhooks out of order, idle.

    It has only what the conditions need; `idle` is None if none of them needs it.
    """

    statuses: Mapping[str, str | None] = field(default_factory=dict)
    out_of_order: Mapping[str, bool] = field(default_factory=dict)
    idle: bool | None = None


class Condition(ABC):
    """A condition: `feed` it the entries in order, then ask for its `verdict`."""

    @abstractmethod
    def feed(self, entry: Entry) -> None:
        """Take an entry into account."""

    @abstractmethod
    def verdict(self, present: Present | None = None, *, ended: bool = False) -> Verdict:
        """Return whether it is true; `ended`: the time span of the wait has passed."""

    @abstractmethod
    def describe(self) -> str:
        """Return it as text."""

    def evidence(self) -> list[Entry]:
        """Return the entries that made it true."""
        return []

    def needs(self) -> Needs:
        """Return what of the present it depends on."""
        return Needs()

    def about(self) -> frozenset[str] | None:
        """Return the objects whose changes it must be fed; None: it must be fed all entries."""
        return None

    def has_never(self) -> bool:
        """Whether it contains `never`."""
        return False

    def unmet(self, present: Present, *, ended: bool = False) -> list[str]:
        """Return the conditions in it that are not true, as text."""
        return [] if self.verdict(present, ended=ended) else [self.describe()]

    def misses(
        self, attempts: Sequence[Entry], early: Sequence[Entry], present: Present
    ) -> Iterator[NearMiss]:
        """Yield what nearly made it true; `early` attempts ended before the cursor."""
        return iter(())


def nearest(
    condition: Condition,
    entries: Iterable[Entry],
    early: Iterable[Entry],
    present: Present,
    count: int = 3,
) -> list[NearMiss]:
    """Return the nearest misses, the latest of equally near ones first.

    `entries` are those since the cursor, `early` some before it.
    """
    misses = list(condition.misses(attempts_of(entries), attempts_of(early), present))
    unique = {(id(miss.entry), miss.object, miss.webhook): miss for miss in reversed(misses)}
    by_distance = sorted(unique.values(), key=lambda miss: (miss.distance, recency(miss)))
    return by_distance[:count]


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: `1 call`, `2 calls`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
