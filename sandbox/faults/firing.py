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
from sandbox import announcements, timeline
from sandbox.faults import armed, draw
from sandbox.faults.armed import ArmedFault
from sandbox.faults.draw import Rule
from sandbox.faults.ordinals import Ordinals
from sandbox.models import Fault
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
