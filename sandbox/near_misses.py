"""What nearly made a condition true, and how it differs. No ORM, no Django."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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
