"""Tasks of extensions: when each was sent, what came of it, and the forecast of the next ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

from django.db.models import Q
from django.dispatch import receiver

from extensions import schedules
from extensions.models import PROCESSING, WAITING, Environment, Installation, Run, Schedule, Task
from extensions.signals import tasks_finished, tasks_started
from requests_queue import clock
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Untrusted
from requests_queue.catalog.models import Product
from requests_queue.queues import base
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Entry, moment

MAX_ROWS = 100  # tasks, and schedules, of a forecast


@receiver(tasks_started)
def record_starts(runs: Sequence[Run], **kwargs: Any) -> None:
    """Write that tasks are sent, in the transaction that claims them."""
    timeline.append([_entry(run, "started") for run in runs])


@receiver(tasks_finished)
def record_ends(runs: Sequence[Run], **kwargs: Any) -> None:
    """Write what came of tasks, in the transaction that stores it."""
    timeline.append(
        [
            _entry(
                run,
                "finished",
                result=run.result,
                message=run.message,
                why=run.why,
                status=run.task.status,
                due_at=timeline.format_time(run.task.due_at),
            )
            for run in runs
        ]
    )


def _entry(run: Run, action: str, **data: Any) -> Entry:
    task = run.task
    return Entry(
        timeline.TASK,
        run.finished_at or run.started_at,
        object=task.object_id,
        data={
            "action": action,
            "id": task.shown_id,
            "type": task.event_type,
            "number": run.number,
            "account": task.environment.extension.account_id,
            **data,
        },
    )


def may_be_about(pk: str) -> bool:
    """Return whether there is such an object, or was a task about it since the last reset."""
    if base.find_object(pk) or Product.objects.filter(pk=pk).exists():
        return True
    # Installations and schedules, and objects that are gone.
    if Installation.objects.filter(pk=pk).exists() or Task.objects.filter(object_id=pk).exists():
        return True
    number = pk.rpartition("-")[2]
    if not (pk.startswith("EFS-") and number.isdecimal() and len(number) < 19):
        return False
    return any(row.shown_id == pk for row in Schedule.objects.filter(pk=number))


# The forecast.


@dataclass(frozen=True, slots=True)
class Row:
    """A task that waits for its time or a call of a schedule: when, about what, and why then."""

    at: datetime
    kind: str
    id: str
    type: str
    object: str
    reason: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is sent next to the runner of an environment, in order."""

    environment: Environment
    now: datetime
    rows: list[Row]


FORECAST = Part(
    "ExtensionForecast",
    "The next tasks of an extension that are planned: rescheduled, repeated, and of schedules.",
    {
        "environment": Field(str, "environment.pk"),
        "now": moment("now"),
        "rows": Many(
            Part(
                "ExtensionForecastRow",
                "A task, or a schedule, whose `object` is itself.",
                {
                    "at": moment("at"),
                    "kind": Literal["task", "schedule"],
                    "id": str,
                    "type": str,
                    "object": str,
                    "reason": Untrusted,
                },
            ),
            attrgetter("rows"),
        ),
    },
)


def forecast_of(environment: Environment) -> Forecast:
    """Return what is sent next to the runner of an environment."""
    now = clock.now()
    rows = sorted((*_waiting(environment, now), *_planned(environment, now)), key=attrgetter("at"))
    return Forecast(environment, now, rows)


def _waiting(environment: Environment, now: datetime) -> Iterator[Row]:
    """Yield the tasks that wait, or have to be handed back."""
    tasks = environment.tasks.filter(
        Q(status__in=WAITING) | Q(status=PROCESSING, due_at__isnull=False)
    ).order_by("due_at", "pk")[:MAX_ROWS]
    shown = {task.pk: task for task in tasks}
    why = {run.task_id: run.why for run in Run.objects.filter(task__in=shown).order_by("pk")}
    for task in shown.values():
        reason = why.get(task.pk, "")
        if task.status == PROCESSING:
            reason = "Lost on its way: it is sent again then."
        at = task.due_at or now
        yield Row(at, "task", task.shown_id, task.event_type, task.object_id, reason)


def _planned(environment: Environment, now: datetime) -> Iterator[Row]:
    rows = environment.schedules.filter(next_at__isnull=False).order_by("next_at", "pk")
    for row in rows[:MAX_ROWS]:
        reason = f"{row.name} calls {row.method}."
        yield Row(
            row.next_at or now, "schedule", row.shown_id, schedules.EVENT, row.shown_id, reason
        )
