"""Prune tasks that have ended with their runs, runs of other tasks, and runners that are gone.

SIM_KEEP_DAYS after: by platform time of tasks and runs, by real time of runners. A task that waits
or is processed stays, and so does its last run. How kinds and steps work is in
`requests_queue.db.retention`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Model, Q
from django.db.models.functions import Coalesce

from extensions.models import PROCESSING, WAITING, Instance, Run, Task
from requests_queue import clock
from requests_queue.db import retention
from requests_queue.db.retention import Step

_OPEN = Q(status__in=(*WAITING, PROCESSING))


@dataclass(frozen=True)
class _Rows:
    """Rows that are removed if they are `old`; primary keys grow with the column `time`."""

    name: str
    model: type[Model]
    time: str
    old: Callable[[datetime], Q]

    def step(self, position: str, rows: int, *, dry_run: bool) -> Step:
        """Remove the next rows, the oldest first."""
        if not settings.SIM_KEEP_DAYS:
            return Step({})
        before = clock.now() - timedelta(days=settings.SIM_KEEP_DAYS)
        table = self.model._default_manager.order_by("pk")
        page = table.filter(pk__gt=int(position or 0)).values_list("pk", self.time)
        # What follows a young row is young.
        read = [pk for pk, at in page[:rows] if at < before]
        old = table.filter(self.old(before), pk__in=read)
        removed = old.count() if dry_run else retention.delete(old, rows)
        return Step({self.name: removed}, str(read[-1]) if len(read) == rows else None)


TASKS = _Rows(
    "tasks of extensions",
    Task,
    "created_at",
    lambda before: ~_OPEN & Q(finished_at__lt=before),
)
# Those of tasks that have ended are removed with them.
RUNS = _Rows(
    "runs of tasks",
    Run,
    "started_at",
    lambda before: Q(
        finished_at__lt=before,
        number__lt=F("task__sent"),
        task__in=Task.objects.filter(_OPEN),
    ),
)


class Runners:
    """Runners without a connection and without a task."""

    name = "runners of extensions"

    def step(self, position: str, rows: int, *, dry_run: bool) -> Step:
        """Remove the next ones."""
        before = retention.before(settings.SIM_KEEP_DAYS)
        if before is None:
            return Step({})
        gone: Any = Instance.objects.alias(last=Coalesce("lost_at", "connected_at")).filter(
            connection=None, last__lt=before
        )
        gone = gone.exclude(pk__in=Task.objects.filter(status=PROCESSING).values("instance"))
        if dry_run:
            return Step({self.name: gone.count()})
        removed = retention.delete(gone, rows)
        return Step({self.name: removed}, "" if removed == rows else None)
