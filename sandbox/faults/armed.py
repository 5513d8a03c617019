"""The faults that are armed, in the memory of each process, so that no request reads the database.

In one process arming and clearing change it at once. Other processes read it again after SPREAD
seconds, for which the callers that arm or clear wait.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F, FloatField, Max, Q, QuerySet
from django.db.models.functions import Cast
from django.dispatch import receiver

from requests_queue import clock
from requests_queue.db import sql
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict, Missing
from sandbox.faults import kinds
from sandbox.faults.kinds import KINDS, Kind
from sandbox.models import Fault, FaultOrdinal
from sandbox.timeline import announcements, notification
from sandbox.world.tables import world_replaced
from webhooks.delivery import wakeup

SPREAD = 0.1  # seconds
DEFAULT_SEED = 1
_LOCK = 0x6661756C74  # "fault"


@dataclass(frozen=True, slots=True)
class ArmedFault:
    """A fault, as requests need it; `scope` has the webhook, account, method and path."""

    id: str
    name: str
    kind: Kind
    parameters: Mapping[str, Any]
    scope: Mapping[str, str]
    seed: int
    needs_chance: bool

    @property
    def mark(self) -> dict[str, str]:
        """Return what is stored with a request that it fired for."""
        return {"name": self.name, "kind": self.kind.name}

    def matches(self, **facts: str | None) -> bool:
        """Return whether a request with these facts is in its scope."""
        for key, value in self.scope.items():
            fact = facts.get(key)
            if fact is None:
                return False
            if fact != value and not (key == "path" and kinds.matches(value, fact)):
                return False
        return True


_BySide = Mapping[str, tuple[ArmedFault, ...]]

_guard = threading.Lock()
_armed: _BySide | None = None
_read_at = 0.0
# Counts the calls of `forget`: what was read before one must not be kept.
_generation = 0


def on(side: str) -> tuple[ArmedFault, ...]:
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


def forget() -> None:
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


@receiver(world_replaced)
def _forget(**kwargs: object) -> None:
    forget()


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
    found: dict[str, tuple[ArmedFault, ...]] = {}
    for row in rows().order_by("ordinal"):
        found[row.side] = (*found.get(row.side, ()), _armed_fault(row))
    with _guard:
        if generation == _generation:
            _armed, _read_at = found, at
    return found


def _armed_fault(row: Fault) -> ArmedFault:
    needs_chance = row.probability is not None or bool(row.parameters.get("jitter"))
    return ArmedFault(
        row.pk, row.name, KINDS[row.kind], row.parameters, row.scope, row.seed, needs_chance
    )


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """A fault to arm, checked; `ttl` in seconds of real time."""

    kind: str
    side: str
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scope: Mapping[str, str] = field(default_factory=dict)
    probability: float | None = None
    times: int | None = None
    nth: Sequence[int] | None = None
    after: int = 0
    ttl: float | None = None
    seed: int = DEFAULT_SEED


def arm(spec: FaultSpec) -> Fault:
    """Arm a fault; raises Conflict if its name is in use.

    Without a name it is the kind and the ordinal of arming since the last reset.
    """
    with transaction.atomic():
        # Two callers at the same time get different ordinals.
        sql.advisory_lock(_LOCK)
        ordinal = (Fault.objects.aggregate(last=Max("ordinal"))["last"] or 0) + 1
        name = spec.name or f"{spec.kind}-{ordinal}"
        if _uncleared().filter(name=name).exists():
            raise Conflict(
                "FLT_001", f"A fault of the name {name} is armed already. Use another name."
            )
        row = Fault.objects.create(
            id=f"FLT-{uuid.uuid4()}",
            ordinal=ordinal,
            name=name,
            kind=spec.kind,
            side=spec.side,
            parameters=dict(spec.parameters),
            scope=dict(spec.scope),
            probability=spec.probability,
            times=spec.times,
            nth=sorted(set(spec.nth)) if spec.nth else None,
            after=spec.after,
            seed=spec.seed,
            armed_at=clock.now(),
            expires=None if spec.ttl is None else DatabaseTime() + spec.ttl,
        )
        announcements.announce(announcements.FAULTS)
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
        notification.announce_after_commit()
        announcements.announce(announcements.FAULTS)
    spread()
    return result


def is_armed(row: Fault) -> bool:
    """Return whether a fault that `get` has returned may still fire."""
    left: float | None = getattr(row, "expires_in", None)
    return (left is None or left > 0) and (row.times is None or row.fired < row.times)


def _uncleared() -> QuerySet[Fault]:
    return Fault.objects.filter(is_cleared=False).order_by("ordinal")


def _shown(rows: QuerySet[Fault]) -> QuerySet[Fault]:
    left = Cast(F("expires") - DatabaseTime(), FloatField())
    return rows.annotate(expires_in=left)
