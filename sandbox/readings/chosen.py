"""The alternatives that were chosen since the start: rows of the world, in the memory of processes.

So a snapshot has them, a reset undoes them, and no request reads the database. In one process a
choice counts at once. Others read the rows again after SPREAD seconds, for which callers wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping

from django.db import DatabaseError, InterfaceError, transaction
from django.dispatch import receiver

from requests_queue import assumptions, topics
from requests_queue.alternatives import ALTERNATIVES
from sandbox.models import Reading
from sandbox.timeline import observer
from sandbox.world.tables import world_replaced
from webhooks.delivery import wakeup
from webhooks.signals import claiming_deliveries

SPREAD = 0.1  # seconds

_guard = threading.Lock()
_chosen: Mapping[str, str] | None = None
_read_at = 0.0


def register() -> None:
    """Let the platform ask for the choices."""
    assumptions.overrides = current


def current() -> Mapping[str, str]:
    """Return the chosen alternatives by reading, without those of the settings."""
    chosen = _chosen
    is_old = chosen is None or (
        time.monotonic() >= _read_at + SPREAD and not wakeup.is_broker_in_memory()
    )
    if is_old and not _in_event_loop():
        try:
            return _read()
        except (DatabaseError, InterfaceError):
            # The request itself reports that.
            pass
    return chosen or {}


@receiver(claiming_deliveries)
def _before_a_claim(**kwargs: object) -> None:
    """Read the choices of other processes before the event loop makes the requests."""
    current()


def differing() -> list[str]:
    """Return the alternatives that count now and are not the defaults, as `reading=alternative`."""
    now = {name: assumptions.value(name) for name in ALTERNATIVES}
    return [f"{name}={now[name]}" for name, words in ALTERNATIVES.items() if now[name] != words[0]]


def choose(choices: Mapping[str, str | None]) -> None:
    """Choose alternatives, checked, by reading; None goes back to that of the settings."""
    with transaction.atomic():
        for name, alternative in choices.items():
            if alternative is None:
                Reading.objects.filter(pk=name).delete()
            else:
                Reading.objects.update_or_create(pk=name, defaults={"alternative": alternative})
        topics.announce(None, observer.FAULTS)
    _spread()


@receiver(world_replaced)
def _spread(**kwargs: object) -> None:
    """Read the choices again, and wait until the other processes have, if any."""
    before = _chosen
    if _read() != before and not wakeup.is_broker_in_memory():
        time.sleep(SPREAD)


def _read() -> Mapping[str, str]:
    global _chosen, _read_at
    # Locked: of two reads, the later one is kept.
    with _guard:
        at = time.monotonic()
        _chosen = dict(Reading.objects.values_list("pk", "alternative"))
        _read_at = at
        return _chosen


def _in_event_loop() -> bool:
    # It must not wait for the database.
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
