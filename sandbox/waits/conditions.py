"""Conditions of a wait: parsed from JSON, folded from timeline entries. No ORM, no Django.

    {"delivered": {"webhook": ID, "object": ID, "attempts_at_most": 1}}
    {"failed": {"webhook": ID, "object": ID, "attempts_at_most": 1}}
    {"called": {"webhook": ID, "object": ID, "times": 2}}   (or at_least, at_most)
    {"status": {"object": ID, "is": "approved"}}
    {"idle": true}
    {"out_of_order": WEBHOOK}
    {"task": {"object": ID, "type": EVENT_TYPE, "result": "success"}}
    {"rescheduled": {"object": ID, "type": EVENT_TYPE}}
    {"all": [...]}, {"any": [...]}, {"never": {...}}

Entries are those of the API (`represent`). `delivered`, `failed`, `called`, `task` and
`rescheduled` are about the entries since the cursor, `status`, `idle` and `out_of_order` about the
present. A verdict is True, False (it cannot come true any more) or None (undecided).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from requests_queue.time_format import format_moment

Entry = Mapping[str, Any]

CHANGE, EVENT, STARTED, FINISHED = "change", "event", "attempt_started", "attempt_finished"
TASK = "task"


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


@dataclass(frozen=True, slots=True)
class Subject:
    """What an attempt is about: a webhook, an object, or both."""

    webhook: str | None
    object: str | None

    def matches(self, entry: Entry) -> bool:
        """Whether the entry is about it."""
        return self.is_near(entry) and self.webhook in (None, entry["webhook"])

    def is_near(self, entry: Entry) -> bool:
        """Whether the entry is about its object, or without one about its webhook."""
        if self.object is None:
            return bool(entry["webhook"] == self.webhook)
        return self.object in objects_of(entry)

    def differences(self, entry: Entry) -> Iterator[Difference]:
        """Yield the webhook of an entry that is near, if it is another one."""
        if not self.matches(entry):
            yield Difference("webhook", str(self.webhook), str(entry["webhook"]), 3)

    @property
    def phrase(self) -> str:
        """It after the noun "request": `to WH-1 about PR-1`."""
        parts = (("to", self.webhook), ("about", self.object))
        return " ".join(f"{word} {name}" for word, name in parts if name)

    def __str__(self) -> str:
        return " for ".join(part for part in (self.webhook, self.object) if part)


def objects_of(entry: Entry) -> Sequence[str]:
    """Return the objects that an entry is about."""
    several: Sequence[str] = entry["data"].get("objects") or ()
    return several or ([entry["object"]] if entry["object"] else [])


def result_of(entry: Entry) -> str:
    """Return what came of an attempt: `delivered`, `failed`, `in flight` or `pending`."""
    if entry["kind"] != FINISHED:
        return "in flight" if entry["kind"] == STARTED else "pending"
    data = entry["data"]
    if data["outcome"] != "success":
        return "failed"
    # Without a state, another attempt decided about the delivery.
    return "delivered" if data["state"] == "delivered" else "recorded late"


def outcome_of(entry: Entry, start: Entry | None = None) -> str:
    """Return an attempt and what came of it, as a clause; with its start, when it began."""
    result = result_of(entry)
    if result == "pending":
        return f"delivery {entry['delivery']} is pending"
    attempt = f"attempt {entry['attempt']} of delivery {entry['delivery']}"
    if start is not None:
        attempt = f"{attempt} began at {moment_of(start)} and"
    if result == "failed":
        return f"{attempt} failed: {entry['data']['error'].rstrip('.') or 'no response'}"
    return f"{attempt} {'is in flight' if result == 'in flight' else 'succeeded'}"


def task_result_of(entry: Entry) -> str:
    """Return what came of a task that was sent: its result, or `processing`."""
    data = entry["data"]
    return str(data["result"]) if data["action"] == "finished" else "processing"


def outcome_of_task(entry: Entry) -> str:
    """Return a task that was sent and what came of it, as a clause."""
    data, result = entry["data"], task_result_of(entry)
    task = f"task {data['id']} ({data['type']})"
    if result == "processing":
        return f"{task} was sent at {moment_of(entry)} and is processed"
    message = f": {data['message'].rstrip('.')}" if data["message"] else ""
    due = ""
    if data["due_at"]:
        due = f", and is sent again at {format_moment(datetime.fromisoformat(data['due_at']))}"
    return f"{task} ended with {result}{message}{due}"


def tasks_of(entries: Iterable[Entry]) -> list[Entry]:
    """Return the last entry of each time that a task was sent."""
    latest: dict[tuple[str, int], Entry] = {}
    for entry in entries:
        if entry["kind"] == TASK:
            key = entry["data"]["id"], entry["data"]["number"]
            latest.pop(key, None)
            latest[key] = entry
    return list(latest.values())


def moment_of(entry: Entry) -> str:
    """Return the platform time of an entry: `2026-11-26 01:42:30 UTC`."""
    return format_moment(datetime.fromisoformat(entry["at"]))


def attempts_of(entries: Iterable[Entry]) -> list[Entry]:
    """Return the last entry of each attempt, and of each delivery that has no attempt."""
    latest: dict[tuple[int, int | None], Entry] = {}
    for entry in entries:
        delivery, attempt = entry["delivery"], entry["attempt"]
        if entry["kind"] == EVENT:
            latest[delivery, None] = entry
        elif entry["kind"] in (STARTED, FINISHED):
            latest.pop((delivery, None), None)
            latest.pop((delivery, attempt), None)
            latest[delivery, attempt] = entry
    return list(latest.values())


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

KINDS = (CHANGE, FINISHED, TASK)  # of the entries that conditions are fed; others are ignored


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
class ObjectKind:
    """What an object can be: its statuses, and those of them that it never leaves.

    `has_deliveries`: webhooks are called about it.
    """

    statuses: tuple[str, ...]
    final: frozenset[str] = frozenset()
    has_deliveries: bool = True


@dataclass(frozen=True, slots=True)
class Present:
    """The present: statuses of objects (None: no such object), webhooks out of order, idle.

    It has only what the conditions need; `idle` is None if none of them needs it.
    """

    statuses: Mapping[str, str | None] = field(default_factory=dict)
    out_of_order: Mapping[str, bool] = field(default_factory=dict)
    idle: bool | None = None


@dataclass(frozen=True)
class History:
    """What has happened since the last reset, to tell why a condition is not true.

    `entries` are those since the cursor of the wait, `earlier` those before it; `has_ended` as of
    the wait. `note` says what is remarkable about a handler's work on a successful attempt.
    """

    present: Present
    entries: Sequence[Entry] = ()
    earlier: Sequence[Entry] = ()
    has_ended: bool = False
    unsettled: Sequence[str] = ()
    note: Callable[[Entry], str] = lambda entry: ""

    def last(self, is_meant: Callable[[Entry], bool]) -> Entry | None:
        """Return the last entry that is meant, also from before the cursor."""
        entries = (*self.earlier, *self.entries)
        return next((entry for entry in reversed(entries) if is_meant(entry)), None)

    def last_attempt(self, subject: Subject, *, since_cursor: bool = True) -> Entry | None:
        """Return the last attempt that matches a subject, or its delivery without one."""
        entries = self.entries if since_cursor else (*self.earlier, *self.entries)
        matching = [entry for entry in attempts_of(entries) if subject.matches(entry)]
        return matching[-1] if matching else None

    def misses(
        self,
        subject: Subject,
        differ: Callable[[Entry], Iterator[Difference]],
        latest: Callable[[Iterable[Entry]], list[Entry]] = attempts_of,
    ) -> Iterator[NearMiss]:
        """Yield the attempts about a subject with the points in which they differ."""
        before = Difference("since", "after the cursor", "before it", 2)
        for entries, also in ((self.entries, ()), (self.earlier, (before,))):
            for entry in filter(subject.is_near, latest(entries)):
                yield NearMiss((*differ(entry), *also), entry)


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

    def unmet(self, history: History) -> list[Condition]:
        """Return the conditions in it that are not true."""
        return [] if self.verdict(history.present, ended=history.has_ended) else [self]

    @abstractmethod
    def reason(self, history: History) -> str:
        """Return why it is not true, as a clause."""

    def misses(self, history: History) -> Iterator[NearMiss]:
        """Yield what nearly made it true."""
        return iter(())


def nearest(condition: Condition, history: History, count: int = 3) -> list[NearMiss]:
    """Return the nearest misses, the latest of equally near ones first."""
    misses = list(condition.misses(history))
    unique = {(id(miss.entry), miss.object, miss.webhook): miss for miss in reversed(misses)}
    by_distance = sorted(unique.values(), key=lambda miss: (miss.distance, recency(miss)))
    return by_distance[:count]


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: `1 call`, `2 calls`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
