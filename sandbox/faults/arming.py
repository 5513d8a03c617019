"""Arm, list and clear faults."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, FloatField, Max, QuerySet
from django.db.models.functions import Cast

from requests_queue import clock, sql
from requests_queue.errors import Conflict, Missing
from requests_queue.sql import DatabaseTime
from sandbox import announcements, notification
from sandbox.faults import armed
from sandbox.models import Fault, FaultOrdinal

DEFAULT_SEED = 1
_LOCK = 0x6661756C74  # "fault"


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
    armed.spread()
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
    armed.spread()
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
