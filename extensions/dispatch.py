"""Claim tasks for a runner's connection, record their results, and hand back those of lost runners.

A claim is the task's `instance`, which one connection at a time holds. A connection that ends keeps
its tasks for SIM_RUNNER_GRACE seconds, since a runner goes on working, connects again and then
sends results; after that they are handed back, and an old result counts no more. It is known by its
`claim_id`. A task that is lost on its way is handed back LEASE after its claim. Lock order: tasks,
by id.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from extensions.definitions import BACKGROUND, INTERACTIVE, SCHEDULED
from extensions.messages import LONGEST, Result
from extensions.models import (
    FAILED,
    PROCESSING,
    RESCHEDULED,
    RETRYING,
    SKIPPED,
    SUCCEEDED,
    WAITING,
    Instance,
    Run,
    Task,
)
from extensions.signals import tasks_finished, tasks_started
from requests_queue import clock
from requests_queue.db import background_work, pausing
from webhooks import conf

# What a connection of each kind gets.
CATEGORIES = {BACKGROUND: (BACKGROUND, SCHEDULED), INTERACTIVE: (INTERACTIVE,)}
LEASE = 300.0  # seconds of platform time, those for which the published runner processes a task
# Seconds of real time after which the published runner ends a task, by category.
LONGEST_RUNS = {BACKGROUND: 300.0, INTERACTIVE: 120.0, SCHEDULED: 43_200.0}
_ENDED = {"success": SUCCEEDED, "fail": FAILED, "skip": SKIPPED}
# Asked in the transaction of a claim: how often tasks are sent, by id, where it isn't once.
copies_finders: list[Callable[[Sequence[Task]], Mapping[int, int]]] = []


class _Answered:
    """Tells threads of this process that results were recorded."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def notify(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait(seconds)


answered = _Answered()
_POLL = 0.1  # seconds after which a result is looked for that another process has recorded


def wait_for(tasks: Collection[int], seconds: float) -> list[Task]:
    """Wait until interactive tasks have ended, and return them; those that haven't in time fail.

    Call outside a transaction.
    """
    deadline = time.monotonic() + seconds
    rows = Task.objects.filter(pk__in=tasks).order_by("pk")
    while rows.exclude(status__in=(SUCCEEDED, FAILED, SKIPPED)).exists():
        left = deadline - time.monotonic()
        if left <= 0:
            _fail(tasks, f"No result within {seconds:g} s.")
            break
        answered.wait(min(left, _POLL))
    return list(rows)


@transaction.atomic
def _fail(tasks: Collection[int], message: str) -> None:
    now = clock.now()
    rows = Task.objects.filter(pk__in=tasks, status__in=(*WAITING, PROCESSING))
    for task in (
        rows.select_related("environment__extension").select_for_update(of=("self",)).order_by("pk")
    ):
        _write(task, FAILED, now, message, Result(task.pk, "fail", message))


def connect(instance: Instance, token: uuid.UUID, version: str) -> bool:
    """Make a connection the one that holds the instance's tasks; return whether there is one."""
    updated = Instance.objects.filter(pk=instance.pk).update(
        connection=token, runner_version=version, connected_at=datetime.now(UTC), lost_at=None
    )
    return bool(updated)


def disconnect(instance: Instance, token: uuid.UUID) -> None:
    """Note the end of a connection, unless another one has taken its place."""
    Instance.objects.filter(pk=instance.pk, connection=token).update(
        connection=None, lost_at=datetime.now(UTC)
    )


def is_connected(instance: Instance, token: uuid.UUID) -> bool:
    """Whether the connection still holds the instance's tasks."""
    return Instance.objects.filter(pk=instance.pk, connection=token).exists()


def claim_id(task: Task) -> str:
    """Return the id of a task's latest claim, also after a replacement of all data."""
    return f"{task.shown_id}-{task.sent}-{background_work.generation()}"


@transaction.atomic
def claim(instance: Instance, limit: int) -> list[Task]:
    """Claim up to `limit` tasks that are due, the oldest first, for a connected instance.

    None while a replacement of all data waits for what is processed, but for interactive ones,
    whose callers it waits for.
    """
    if pausing.is_draining() and instance.kind != INTERACTIVE:
        return []
    now = clock.now()
    due = (
        Task.objects.filter(
            environment=instance.environment_id,
            category__in=CATEGORIES[instance.kind],
            status__in=WAITING,
        )
        .filter(Q(due_at=None) | Q(due_at__lte=now))
        .select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        .order_by("pk")
    )
    ids = list(due.values_list("pk", flat=True)[:limit])
    if not ids:
        return []
    Task.objects.filter(pk__in=ids, status__in=WAITING).update(
        status=PROCESSING, instance=instance, started_at=now, due_at=None, sent=F("sent") + 1
    )
    tasks = list(
        Task.objects.filter(pk__in=ids, status=PROCESSING, instance=instance)
        .select_related("installation__account", "environment__extension")
        .order_by("pk")
    )
    runs = [
        Run(task=task, number=task.sent, started_at=now, instance=instance.uid) for task in tasks
    ]
    Run.objects.bulk_create(runs)
    tasks_started.send(sender=None, runs=runs)
    copies = {pk: count for find in copies_finders for pk, count in find(tasks).items()}
    for task in tasks:
        task.copies = copies.get(task.pk, 1)
    lost = [task.pk for task in tasks if not task.copies]
    Task.objects.filter(pk__in=lost).update(due_at=_after(now, LEASE))
    return tasks


@transaction.atomic
def record(instance: Instance, results: Sequence[Result]) -> None:
    """Record the results of an instance's tasks; those that were handed back are left out."""
    now = clock.now()
    by_task = {result.task: result for result in results}
    for task in _processing(instance).filter(pk__in=by_task):
        if by_task[task.pk].claim_id in ("", claim_id(task)):
            _settle(task, by_task[task.pk], now)
    transaction.on_commit(answered.notify, robust=True)


def hand_back_lost(tokens: Collection[uuid.UUID]) -> None:
    """Note the end of other connections; hand back what instances have lost for too long had."""
    lose_others(tokens)
    lost = Instance.objects.filter(
        connection=None, lost_at__lt=_lost_since(), tasks__status=PROCESSING
    )
    for instance in lost.distinct():
        hand_back(instance)


def lose_others(tokens: Collection[uuid.UUID]) -> None:
    """Note the end of all connections but these, for instance of those before a restart."""
    others = Instance.objects.exclude(connection=None).exclude(connection__in=tokens)
    # Only a read, each second.
    if others.exists():
        others.update(connection=None, lost_at=datetime.now(UTC))


def hand_back_all() -> None:
    """Hand back all tasks: after a replacement of all data, no runner works on those of the new."""
    lose_others(())
    for instance in Instance.objects.filter(tasks__status=PROCESSING).distinct():
        hand_back(instance)


def runs_of(instance: Instance) -> list[tuple[int, int, str]]:
    """Return the tasks that an instance processes: id, how often it was sent, category."""
    return list(_processing(instance, lock=False).values_list("pk", "sent", "category"))


@transaction.atomic
def hand_back_runs(instance: Instance, runs: Mapping[int, int]) -> None:
    """Hand back tasks that were sent so often, and are still processed."""
    for task in _processing(instance).filter(pk__in=runs):
        if task.sent == runs[task.pk]:
            _hand_back(task, clock.now())


def _lost_since() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=settings.SIM_RUNNER_GRACE)


@transaction.atomic
def hand_back_overdue(now: datetime) -> None:
    """Hand back the tasks that were lost on their way, LEASE after their claim."""
    rows = Task.objects.filter(status=PROCESSING, due_at__lte=now)
    for task in (
        rows.select_related("environment__extension").select_for_update(of=("self",)).order_by("pk")
    ):
        why = f"No result came within {LEASE:g} s. Sent again at once."
        _write(task, RETRYING, now, why, Result(task.pk, ""))


@transaction.atomic
def hand_back(instance: Instance) -> None:
    """Hand back what an instance without a connection was processing: it is sent again at once."""
    if not Instance.objects.select_for_update().filter(pk=instance.pk, connection=None).exists():
        return
    now = clock.now()
    for task in _processing(instance):
        _hand_back(task, now)


def _hand_back(task: Task, now: datetime) -> None:
    why = "The runner was lost. Sent again at once, so the extension may get the task twice."
    _write(task, RETRYING, now, why, Result(task.pk, ""))


def _processing(instance: Instance, *, lock: bool = True) -> QuerySet[Task]:
    rows = Task.objects.filter(instance=instance, status=PROCESSING).order_by("pk")
    rows = rows.select_related("environment__extension")
    return rows.select_for_update(of=("self",)) if lock else rows


def _settle(task: Task, result: Result, now: datetime) -> None:
    """Write what a result says of its task."""
    status = _ENDED.get(result.result)
    if status is None and task.category == INTERACTIVE:
        # Somebody waits for it: it is never repeated.
        status = FAILED
    if status:
        _write(task, status, now, "", result)
        return
    if result.result == "reschedule":
        due_at = _after(now, result.countdown)
        why = f"Rescheduled by the extension, after {result.countdown:g} s."
        task.rescheduled_count += 1
        task.retries = 0
        _write(task, RESCHEDULED, now, why, result, due_at=due_at)
        return
    policy = conf.policy()
    task.retries += 1
    task.retry_count += 1
    if task.retries >= policy.limit:
        why = f"Failed after {task.retries} results in a row that were retry."
        _write(task, FAILED, now, why, result)
        return
    due_at = _after(now, max(result.countdown, policy.delay(task.retries).total_seconds()))
    _write(task, RETRYING, now, policy.failed(task.retries), result, due_at=due_at)


def _after(now: datetime, seconds: float) -> datetime:
    return clock.ceil(now + timedelta(seconds=min(seconds, LONGEST)))


def _write(
    task: Task,
    status: str,
    now: datetime,
    why: str,
    result: Result,
    *,
    due_at: datetime | None = None,
) -> None:
    """Write a locked task's status, and end its run."""
    is_over = status not in WAITING
    Task.objects.filter(pk=task.pk).update(
        status=status,
        instance=None,
        due_at=due_at,
        finished_at=now if is_over else None,
        retries=task.retries,
        retry_count=task.retry_count,
        rescheduled_count=task.rescheduled_count,
        response=result.data if task.category == INTERACTIVE else None,
        runtime_total=F("runtime_total") + result.runtime,
        output=result.message,
    )
    task.status, task.due_at = status, due_at
    columns = {
        "finished_at": now,
        "runtime": result.runtime,
        "why": why,
        "result": result.result or "lost",
        "message": result.message,
    }
    if Run.objects.filter(task=task, number=task.sent, finished_at=None).update(**columns):
        tasks_finished.send(sender=None, runs=[Run(task=task, number=task.sent, **columns)])


def next_due(now: datetime) -> datetime | None:
    """Return when the next task is due that waits for its time or was lost, or None."""
    rows = Task.objects.filter(status__in=(*WAITING, PROCESSING), due_at__gt=now)
    return rows.order_by("due_at").values_list("due_at", flat=True).first()


def busy(now: datetime) -> set[str]:
    """Return labels of tasks that are processed, or due while a runner is there or comes back."""
    instances = Instance.objects.filter(Q(connection__isnull=False) | Q(lost_at__gte=_lost_since()))
    there = Q()
    for kind, categories in CATEGORIES.items():
        environments = instances.filter(kind=kind).values("environment")
        there |= Q(category__in=categories, environment__in=environments)
    rows = Task.objects.filter(Q(due_at=None) | Q(due_at__lte=now))
    active = rows.filter(Q(status=PROCESSING) | (Q(status__in=WAITING) & there))
    return {f"task:{task.shown_id}" for task in active.order_by("pk")[:100]}


def in_progress() -> list[str]:
    """Return the ids of tasks that are processed, without those that were lost on their way."""
    rows = Task.objects.filter(status=PROCESSING, due_at=None).order_by("pk")[:100]
    return [task.shown_id for task in rows]


@transaction.atomic
def resubmit(task: Task) -> bool:
    """Send a task again that has ended; return whether it had."""
    updated = Task.objects.filter(pk=task.pk, status__in=(*_ENDED.values(),)).update(
        status=RETRYING, due_at=None, finished_at=None, retries=0, output=""
    )
    return bool(updated)
