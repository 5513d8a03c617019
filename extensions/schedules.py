"""Schedules: when methods of extensions are called, on the platform's clock."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from extensions.definitions import SCHEDULED
from extensions.models import INSTALLED, NEW, PROCESSING, WAITING, Schedule, Task
from extensions.signals import wake
from extensions.triggers import next_time
from requests_queue import clock

EVENT = "scheduled_execution"


def next_due() -> datetime | None:
    """Return when the next schedule is due, or None."""
    rows = Schedule.objects.filter(next_at__isnull=False).order_by("next_at")
    return rows.values_list("next_at", flat=True).first()


def run_due(now: datetime) -> None:
    """Insert a task for each schedule that is due; one whose task has not ended gets none."""
    for row in Schedule.objects.filter(next_at__lte=now).order_by("pk"):
        run(row, now, due_at=row.next_at)


@transaction.atomic
def run(row: Schedule, now: datetime, due_at: datetime | None = None) -> bool:
    """Insert a task of a schedule, once for each due moment; return whether it did."""
    if due_at is not None:
        moved = Schedule.objects.filter(pk=row.pk, next_at=due_at).update(
            next_at=next_time(row.trigger, now)
        )
        if not moved:
            return False
    locked = Schedule.objects.select_for_update().filter(pk=row.pk).first()
    open_tasks = Task.objects.filter(
        environment=row.environment_id,
        object_id=row.shown_id,
        status__in=(*WAITING, PROCESSING),
    )
    installed = row.environment.installations.filter(status=INSTALLED)
    installation = installed.order_by("created_at", "pk").first()
    if locked is None or installation is None or open_tasks.exists():
        return False
    Task.objects.create(
        environment=row.environment,
        installation=installation,
        event_type=EVENT,
        category=SCHEDULED,
        object_id=row.shown_id,
        status=NEW,
        created_at=now,
    )
    transaction.on_commit(lambda: wake.send(sender=None), robust=True)
    return True


def set_enabled(row: Schedule, enabled: bool) -> None:
    """Enable or disable a schedule."""
    next_at = next_time(row.trigger, clock.now()) if enabled else None
    Schedule.objects.filter(pk=row.pk).update(enabled=enabled, next_at=next_at)
