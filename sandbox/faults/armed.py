"""The faults that are armed, and which of them fire.

They are in the memory of each process, so that no request reads the database. In one process arming
and clearing change it at once. Others read it again after SPREAD seconds, for which callers wait.

Which faults fire for requests is decided and counted in one transaction. Lock order: a claim's
deliveries, then faults in the order of arming. The row of a fault is locked while its requests are
counted: numbers and ordinals are right with several processes.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F, Max, Q, QuerySet
from django.dispatch import receiver

from requests_queue import clock, topics
from requests_queue.db import sql
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict, Missing
from sandbox.faults import kinds
from sandbox.faults.kinds import KINDS, Rule
from sandbox.models import EXPIRES_IN, Fault, FaultOrdinal
from sandbox.timeline import observer, timeline
from sandbox.timeline.timeline import Entry
from sandbox.world.tables import world_replaced
from webhooks.delivery import wakeup

SPREAD = 0.1  # seconds
DEFAULT_SEED = 1
_LOCK = 0x6661756C74  # "fault"
Keys = Sequence[str]

_CHUNK = 500  # SQLite takes 32,766 parameters


def matches(fault: Fault, **facts: str | None) -> bool:
    """Return whether a request with these facts is in the scope of a fault."""
    for key, value in fault.scope.items():
        fact = facts.get(key)
        if fact is None:
            return False
        if fact != value and not (key == "path" and kinds.matches(value, fact)):
            return False
    return True


_BySide = Mapping[str, tuple[Fault, ...]]

_guard = threading.Lock()
_armed: _BySide | None = None
_read_at = 0.0
_generation = 0  # calls of `forget`: what was read before one must not be kept


def on(side: str) -> tuple[Fault, ...]:
    """Return the faults that are armed on a side, in the order of arming.

    It returns none if the database is unavailable: the request itself reports that.
    """
    armed = _armed
    if armed is None or (
        time.monotonic() >= _read_at + SPREAD and not wakeup.is_broker_in_memory()
    ):
        try:
            armed = _read()
        except (DatabaseError, InterfaceError):
            return ()
    return armed.get(side, ())


@receiver(world_replaced)
def forget(**kwargs: object) -> None:
    """Let the next request read the faults again."""
    global _armed, _generation
    with _guard:
        _armed = None
        _generation += 1


def spread() -> None:
    """Forget the faults, and wait until the other processes have read them again, if any."""
    forget()
    if not wakeup.is_broker_in_memory():
        time.sleep(SPREAD)


def rows() -> QuerySet[Fault]:
    """Return the faults that may fire for another request."""
    return (
        Fault.objects.filter(is_cleared=False)
        .filter(Q(expires=None) | Q(expires__gt=DatabaseTime()))
        .filter(Q(times=None) | Q(fired__lt=F("times")))
    )


def _read() -> _BySide:
    global _armed, _read_at
    generation, at = _generation, time.monotonic()
    found: dict[str, tuple[Fault, ...]] = {}
    for row in rows().order_by("ordinal"):
        found[row.side] = (*found.get(row.side, ()), row)
    with _guard:
        if generation == _generation:
            _armed, _read_at = found, at
    return found


def arm(
    kind: str,
    side: str,
    name: str = "",
    parameters: Mapping[str, Any] | None = None,
    scope: Mapping[str, str] | None = None,
    *,
    ttl: float | None = None,
    **counts: Any,
) -> Fault:
    """Arm a fault, checked, for `ttl` seconds of real time; raises Conflict if its name is in use.

    Without a name it is the kind and the ordinal of arming since the last reset. `counts` are the
    columns that say for which requests it fires.
    """
    with transaction.atomic():
        # Two callers at the same time get different ordinals.
        sql.advisory_lock(_LOCK)
        ordinal = (Fault.objects.aggregate(last=Max("ordinal"))["last"] or 0) + 1
        name = name or f"{kind}-{ordinal}"
        if _uncleared().filter(name=name).exists():
            raise Conflict(
                "FLT_001", f"A fault of the name {name} is armed already. Use another name."
            )
        row = Fault.objects.create(
            id=f"FLT-{uuid.uuid4()}",
            ordinal=ordinal,
            name=name,
            kind=kind,
            side=side,
            parameters=dict(parameters or {}),
            scope=dict(scope or {}),
            armed_at=clock.now(),
            expires=None if ttl is None else DatabaseTime() + ttl,
            **{"seed": DEFAULT_SEED, **counts},
        )
        topics.announce(None, observer.FAULTS)
    spread()
    return get(row.pk)


def listed() -> list[Fault]:
    """Return the faults that are not cleared, in the order of arming, as `get` does."""
    return list(_shown(_uncleared()))


def get(fault_id: str) -> Fault:
    """Return a fault, with `expires_in` (seconds) and `is_armed`; raises Missing."""
    row = _shown(_uncleared()).filter(pk=fault_id).first()
    if row is None:
        raise Missing(fault_id)
    return row


def clear(fault_id: str) -> Fault:
    """Clear a fault and return its last state; raises Missing if it is cleared already."""
    rows = _clear(_uncleared().filter(pk=fault_id))
    if not rows:
        raise Missing(fault_id)
    return rows[0]


def clear_all() -> list[Fault]:
    """Clear all faults and return their last states."""
    return _clear(_uncleared())


def _clear(rows: QuerySet[Fault]) -> list[Fault]:
    with transaction.atomic():
        # Lock order: faults in the order of arming. Only one of several callers gets a row.
        ids = list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
        cleared = Fault.objects.filter(pk__in=ids)
        cleared.update(is_cleared=True)
        FaultOrdinal.objects.filter(fault__in=ids).delete()
        result = list(_shown(cleared).order_by("ordinal"))
        # What they hold is sent.
        observer.announce_after_commit()
        topics.announce(None, observer.FAULTS)
    spread()
    return result


def is_armed(row: Fault) -> bool:
    """Return whether a fault that `get` has returned may still fire."""
    left: float | None = getattr(row, "expires_in", None)
    return (left is None or left > 0) and (row.times is None or row.fired < row.times)


def _uncleared() -> QuerySet[Fault]:
    return Fault.objects.filter(is_cleared=False).order_by("ordinal")


def _shown(rows: QuerySet[Fault]) -> QuerySet[Fault]:
    return rows.annotate(expires_in=EXPIRES_IN)


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

    fault: Fault
    number: int
    count: int
    ordinals: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return self.fault.kind

    @property
    def mark(self) -> dict[str, str]:
        """Return what is stored with the request."""
        return {"name": self.fault.name, "kind": self.kind}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return the values of the kind's parameters."""
        values: Mapping[str, Any] = self.fault.parameters
        return values

    def fraction(self, purpose: str) -> float:
        """Return a number from 0 to below 1 that depends on seed, fault, and ordinals alone."""
        return kinds.fraction(self.fault.seed, self.fault.name, self.ordinals, purpose)

    def delay(self) -> float:
        """Return the delay in seconds of a fault with `ms` and `jitter`."""
        values = self.parameters
        return kinds.delay(values["ms"], values.get("jitter", 0), self.fraction("jitter"))


Firings = tuple[Firing, ...]


@transaction.atomic
def decide(faults: Sequence[Fault], subjects: Sequence[Subject]) -> list[Firings]:
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
            if matches(fault, **subject.facts)
            # After one that is final.
            and not (_is_final(fault) and any(_is_final(each.fault) for each in fired[at]))
        ]
        if not matching:
            continue
        row = rows().filter(pk=fault.id).select_for_update(no_key=True).first()
        if row is None:
            # It has expired, or another process has cleared it.
            forget()
            continue
        now = now or clock.now()
        for at, firing in _ask_all(row, subjects, matching, now):
            fired[at] += (firing,)
            entries.append(_entry(firing, row, subjects[at], now))
    timeline.append(entries)
    topics.announce(None, observer.FAULTS)
    return fired


def _is_final(fault: Fault) -> bool:
    return KINDS[fault.kind].is_final


def _ask_all(
    row: Fault,
    subjects: Sequence[Subject],
    matching: Sequence[int],
    now: datetime,
) -> list[tuple[int, Firing]]:
    """Ask a fault, whose row is locked, for the matching requests; return for which it fires."""
    ordinals = None
    if row.probability is not None or row.parameters.get("jitter"):
        ordinals = Ordinals(row.id, [subjects[at].keys for at in matching])
    fired: list[tuple[int, Firing]] = []
    for at in matching:
        if row.times is not None and row.fired >= row.times:
            break
        if firing := _ask(row, ordinals, subjects[at], now):
            fired.append((at, firing))
    row.save(update_fields=["asked", "fired"])
    if ordinals is not None:
        ordinals.save()
    if row.times is not None and row.fired >= row.times:
        transaction.on_commit(forget, robust=True)
    return fired


def _ask(row: Fault, ordinals: Ordinals | None, subject: Subject, now: datetime) -> Firing | None:
    row.asked += 1
    counted = ordinals.count(subject.keys) if ordinals is not None else ()
    fires = kinds.fires(
        Rule(row.probability, row.times, frozenset(row.nth) if row.nth else None, row.after),
        row.kind,
        row.parameters,
        number=row.asked,
        elapsed=(now - row.armed_at).total_seconds(),
        chance=kinds.fraction(row.seed, row.name, counted),
    )
    if not fires:
        return None
    row.fired += 1
    return Firing(row, row.asked, row.fired, counted)


def _entry(firing: Firing, row: Fault, subject: Subject, now: datetime) -> Entry:
    more = dict(subject.entry)
    data = {
        "id": row.pk,
        **firing.mark,
        "side": row.side,
        "fired": firing.count,
        **more.pop("data", {}),
    }
    return Entry(timeline.FAULT, now, data=data, **more)
