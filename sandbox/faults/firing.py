"""Decide which armed faults fire for requests, and count that, in one transaction.

Lock order: a claim's deliveries, then faults in the order of arming. The row of a fault is locked
while its requests are counted, so numbers and ordinals are right with several processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import clock
from sandbox.faults import armed, draw
from sandbox.faults.armed import ArmedFault
from sandbox.faults.draw import Rule
from sandbox.models import Fault, FaultOrdinal
from sandbox.timeline import announcements, timeline
from sandbox.timeline.timeline import Entry

Keys = Sequence[str]

_CHUNK = 500  # SQLite takes 32,766 parameters


class Ordinals:
    """Counts requests of one fault in memory; use it with the fault's row locked, then save."""

    def __init__(self, fault_id: str, requests: Iterable[Keys]) -> None:
        self._fault_id = fault_id
        paths = list({path: None for keys in requests for path in _paths(keys)})
        self._rows: dict[str, FaultOrdinal] = {}
        for start in range(0, len(paths), _CHUNK):
            rows = FaultOrdinal.objects.filter(fault=fault_id, path__in=paths[start:][:_CHUNK])
            self._rows |= {row.path: row for row in rows}
        self._changed: set[str] = set()

    def count(self, keys: Keys) -> tuple[int, ...]:
        """Count a request, and return the ordinals of its keys and its own."""
        root, *paths = _paths(keys)
        parent, ordinals = self._row(root, None), []
        for path in paths:
            parent = self._row(path, parent)
            ordinals.append(parent.ordinal)
        return (*ordinals, self._increment(parent))

    def save(self) -> None:
        """Store what has changed."""
        changed = [self._rows[path] for path in self._changed]
        FaultOrdinal.objects.bulk_create([row for row in changed if row.pk is None])
        FaultOrdinal.objects.bulk_update(
            [row for row in changed if row.pk is not None], ["count"], batch_size=_CHUNK
        )
        self._changed.clear()

    def _row(self, path: str, parent: FaultOrdinal | None) -> FaultOrdinal:
        row = self._rows.get(path)
        if row is None:
            ordinal = self._increment(parent) if parent is not None else 0
            row = FaultOrdinal(fault_id=self._fault_id, path=path, ordinal=ordinal)
            self._rows[path] = row
            self._changed.add(path)
        return row

    def _increment(self, row: FaultOrdinal) -> int:
        row.count += 1
        self._changed.add(row.path)
        return row.count


def _paths(keys: Keys) -> Iterator[str]:
    """Yield the stored path of the fault itself and of each key.

    The path of a key is a hash, since a key has any length, and may have characters that PostgreSQL
    cannot store.
    """
    for end in range(len(keys) + 1):
        text = "\n".join(keys[:end])
        yield hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest() if text else ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A request that faults may fire for.

    `facts` are compared with the scopes; `keys` lead to its ordinals: webhook and delivery, or the
    pattern of a path. `entry` has the arguments of its entries of the timeline.
    """

    facts: Mapping[str, str | None]
    keys: tuple[str, ...]
    entry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Firing:
    """A fault that fires for a request.

    It is the fault's matching request of this `number`, and the one of this `count` that it fires
    for; both from 1.
    """

    fault: ArmedFault
    number: int
    count: int
    ordinals: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return self.fault.kind.name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return the values of the kind's parameters."""
        return self.fault.parameters

    def fraction(self, purpose: str) -> float:
        """Return a number from 0 to below 1 that depends on seed, fault, and ordinals alone."""
        return draw.fraction(self.fault.seed, self.fault.name, self.ordinals, purpose)

    def delay(self) -> float:
        """Return the delay in seconds of a fault with `ms` and `jitter`."""
        values = self.parameters
        return draw.delay(values["ms"], values.get("jitter", 0), self.fraction("jitter"))


Firings = tuple[Firing, ...]


@transaction.atomic
def decide(faults: Sequence[ArmedFault], subjects: Sequence[Subject]) -> list[Firings]:
    """Return the faults that fire for each request, in the order of arming.

    Once a final one has fired, others that are final are not asked.
    """
    fired: list[Firings] = [()] * len(subjects)
    entries: list[Entry] = []
    now: datetime | None = None
    for fault in faults:
        matching = [
            at
            for at, subject in enumerate(subjects)
            if fault.matches(**subject.facts) and not (fault.kind.is_final and _is_over(fired[at]))
        ]
        if not matching:
            continue
        row = armed.rows().filter(pk=fault.id).select_for_update(no_key=True).first()
        if row is None:
            # It has expired, or another process has cleared it.
            armed.forget()
            continue
        now = now or clock.now()
        for at, firing in _ask_all(fault, row, subjects, matching, now):
            fired[at] += (firing,)
            entries.append(_entry(firing, row, subjects[at], now))
    timeline.append(entries)
    announcements.announce(announcements.FAULTS)
    return fired


def _is_over(fired: Firings) -> bool:
    return any(each.fault.kind.is_final for each in fired)


def _ask_all(
    fault: ArmedFault,
    row: Fault,
    subjects: Sequence[Subject],
    matching: Sequence[int],
    now: datetime,
) -> list[tuple[int, Firing]]:
    """Ask a fault, whose row is locked, for the matching requests; return for which it fires."""
    ordinals = None
    if fault.needs_chance:
        ordinals = Ordinals(fault.id, [subjects[at].keys for at in matching])
    fired: list[tuple[int, Firing]] = []
    for at in matching:
        if row.times is not None and row.fired >= row.times:
            break
        if firing := _ask(fault, row, ordinals, subjects[at], now):
            fired.append((at, firing))
    row.save(update_fields=["asked", "fired"])
    if ordinals is not None:
        ordinals.save()
    if row.times is not None and row.fired >= row.times:
        transaction.on_commit(armed.forget, robust=True)
    return fired


def _ask(
    fault: ArmedFault, row: Fault, ordinals: Ordinals | None, subject: Subject, now: datetime
) -> Firing | None:
    row.asked += 1
    counted = ordinals.count(subject.keys) if ordinals is not None else ()
    fires = draw.fires(
        Rule(row.probability, row.times, frozenset(row.nth) if row.nth else None, row.after),
        row.kind,
        row.parameters,
        number=row.asked,
        elapsed=(now - row.armed_at).total_seconds(),
        chance=draw.fraction(row.seed, row.name, counted),
    )
    if not fires:
        return None
    row.fired += 1
    return Firing(fault, row.asked, row.fired, counted)


def _entry(firing: Firing, row: Fault, subject: Subject, now: datetime) -> Entry:
    more = dict(subject.entry)
    data = {
        "id": row.pk,
        **firing.fault.mark,
        "side": row.side,
        "fired": firing.count,
        **more.pop("data", {}),
    }
    return Entry(timeline.FAULT, now, data=data, **more)
