"""The faults that are armed, in the memory of each process, so that no request reads the database.

In one process arming and clearing change it at once. Other processes read it again after SPREAD
seconds, for which the callers that arm or clear wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import F, Q, QuerySet
from django.dispatch import receiver

from requests_queue.sql import DatabaseTime
from sandbox.faults import paths
from sandbox.faults.kinds import KINDS, Kind
from sandbox.models import Fault
from sandbox.world import world_replaced
from webhooks.delivery import wakeup

SPREAD = 0.1  # seconds


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
            if fact != value and not (key == "path" and paths.matches(value, fact)):
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
