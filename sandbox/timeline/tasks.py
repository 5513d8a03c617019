"""Tasks of extensions in the timeline: when each was sent, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from extensions.models import Run
from extensions.signals import tasks_finished, tasks_started
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Entry


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
