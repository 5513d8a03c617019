"""Decide which armed faults fire for requests, and count that, in one transaction.

Lock order: a claim's deliveries, then faults in the order of arming. The row of a fault is locked
while its requests are counted, so numbers and ordinals are right with several processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import clock
from sandbox import timeline
from sandbox.faults import armed, draw
from sandbox.faults.armed import ArmedFault
from sandbox.faults.draw import Rule
from sandbox.models import Fault, FaultOrdinal
from sandbox.timeline import Entry


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
    """A fault that fires for a request: its matching request of this number, from 1."""

    fault: ArmedFault
    number: int
    ordinals: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """Return the name of the kind."""
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
        ms: float = self.parameters["ms"]
        jitter: float = self.parameters.get("jitter", 0)
        return max(0.0, ms + (2 * self.fraction("jitter") - 1) * jitter) / 1000


Firings = tuple[Firing, ...]


@transaction.atomic
def decide(faults: Sequence[ArmedFault], subjects: Sequence[Subject]) -> list[Firings]:
    """Return the faults that fire for each request, in the order of arming.

    Once a final one has fired, others that are final are not asked.
    """
    fired: list[Firings] = [()] * len(subjects)
    now: datetime | None = None
    entries: list[Entry] = []
    for fault in faults:
        matching = [
            at for at, subject in enumerate(subjects)
            if fault.matches(**subject.facts)
            and not (fault.kind.is_final and any(f.fault.kind.is_final for f in fired[at]))
        ]  # fmt: skip
        if not matching:
            continue
        row = armed.rows().filter(pk=fault.id).select_for_update().first()
        if row is None:
            # It has expired, or another process has cleared it.
            armed.forget()
            continue
        now = now or clock.now()
        for at in matching:
            if row.times is not None and row.fired >= row.times:
                break
            if firing := _ask(fault, row, subjects[at], now):
                fired[at] += (firing,)
                entries.append(_entry(firing, row, subjects[at], now))
        row.save(update_fields=["asked", "fired"])
        if row.times is not None and row.fired >= row.times:
            transaction.on_commit(armed.forget, robust=True)
    timeline.append(entries)
    return fired


def _ask(fault: ArmedFault, row: Fault, subject: Subject, now: datetime) -> Firing | None:
    row.asked += 1
    ordinals = _ordinals(row, subject.keys) if fault.needs_chance else ()
    fires = draw.fires(
        Rule(row.probability, row.times, frozenset(row.nth) if row.nth else None, row.after),
        row.kind,
        row.parameters,
        number=row.asked,
        elapsed=(now - row.armed_at).total_seconds(),
        chance=draw.fraction(row.seed, row.name, ordinals),
    )
    if not fires:
        return None
    row.fired += 1
    return Firing(fault, row.asked, ordinals)


def _ordinals(row: Fault, keys: Sequence[str]) -> tuple[int, ...]:
    """Count a request, and return its ordinals: of each key among its siblings, and its own.

    Call with the fault's row locked.
    """
    node, _ = FaultOrdinal.objects.get_or_create(fault=row, path="", defaults={"ordinal": 0})
    ordinals = []
    for at in range(len(keys)):
        path = "\n".join(keys[: at + 1])[:300]
        child = FaultOrdinal.objects.filter(fault=row, path=path).first()
        if child is None:
            node.count += 1
            node.save(update_fields=["count"])
            child = FaultOrdinal.objects.create(fault=row, path=path, ordinal=node.count)
        ordinals.append(child.ordinal)
        node = child
    node.count += 1
    node.save(update_fields=["count"])
    return (*ordinals, node.count)


def _entry(firing: Firing, row: Fault, subject: Subject, now: datetime) -> Entry:
    more = dict(subject.entry)
    data = {
        "id": row.pk, **firing.fault.mark, "side": row.side, "fired": row.fired,
        **more.pop("data", {}),
    }  # fmt: skip
    return Entry(timeline.FAULT, now, data=data, **more)
