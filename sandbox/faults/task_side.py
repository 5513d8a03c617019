"""Faults of tasks on their way to runners of extensions.

`register` fills the registry of `extensions.dispatch`; a claim asks `find` in its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extensions import dispatch
from extensions.models import Task
from extensions.signals import wake
from sandbox.faults import armed
from sandbox.faults.armed import Subject
from sandbox.faults.kinds import TASK

# How often a task is sent, by kind.
COPIES = {"lost_task": 0, "duplicate_task": 2}


def register() -> None:
    """Let faults change how tasks are sent."""
    if find not in dispatch.copies_finders:
        dispatch.copies_finders.append(find)


def find(tasks: Sequence[Task]) -> Mapping[int, int]:
    """Return how often the tasks are sent for which a fault fires, by id."""
    faults = armed.on(TASK)
    if not faults:
        return {}
    fired = armed.decide(faults, [_subject(each) for each in tasks])
    kinds = {task.pk: each.kind for task, found in zip(tasks, fired, strict=True) for each in found}
    if "restart_gateway" in kinds.values():
        # Its connections are closed when they look for the next tasks, after these are sent.
        dispatch.lose_others(())
        wake.send(sender=None)
    return {pk: COPIES[kind] for pk, kind in kinds.items() if kind in COPIES}


def _subject(task: Task) -> Subject:
    account = task.environment.extension.account_id
    return Subject(
        {"account": account},
        (task.environment_id, task.shown_id),
        {"object": task.object_id, "data": {"account": account, "task": task.shown_id}},
    )
