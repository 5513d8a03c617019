"""Retention: remove rows that their policy no longer keeps, in short transactions.

Each app registers what it has in `AppConfig.ready`:

    retention.KINDS.append(
        retention.ByAge("audit log", AuditEntry, "at", days=lambda: settings.SIM_KEEP_AUDIT_DAYS)
    )

A run goes from kind to kind in steps. Each step is one transaction of a bounded number of rows,
and between two steps others have the database to themselves. A run that ends early, because its
time is over or its process was killed, leaves nothing half-done: the next one continues.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Protocol

from django.db import Error as DatabaseError
from django.db import models, router, transaction
from django.db.models import Max, Q

from requests_queue import background_work, database_errors

logger = logging.getLogger(__name__)

SECONDS = 4.0  # of one run of the scheduler, which then continues in another task
TARGET = 0.1  # seconds of a step: the number of its rows follows from what the last one took
# Rows of a step. With fewer of them a busy machine would remove fewer rows than it receives, since
# the statements of a step cost as much as some hundred rows.
MIN_ROWS, MAX_ROWS = 600, 3000
TRIES = 4  # of a step: another transaction may hold a row that it needs
_PAUSE = 2.0  # after a step, in durations of the step: SQLite has one writer at a time
_running = threading.Lock()

# Where a run continues: the name of a kind and its own position, "" for its beginning.
Position = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """How many rows a step has removed, by what they are; `next` is None after the last step."""

    removed: Mapping[str, int]
    next: str | None = None


class Kind(Protocol):
    """Rows with a retention policy of their own."""

    @property
    def name(self) -> str:
        """Return the name, in the plural."""

    def step(self, position: str, rows: int, *, dry_run: bool) -> Step:
        """Remove about `rows` rows from a position on, or only count them; in a transaction."""


# Apps append theirs in `AppConfig.ready`.
KINDS: list[Kind] = []


@dataclass(slots=True)
class Run:
    """Result of a run: the numbers of removed rows, where to continue, and kinds that failed."""

    removed: Counter[str] = field(default_factory=Counter)
    position: Position | None = None
    failed: list[str] = field(default_factory=list)
    # Another run of this process was still going on.
    skipped: bool = False


def run(
    seconds: float = float("inf"), start: Position | None = None, *, dry_run: bool = False,
    pause: Callable[[float], Any] = time.sleep,
) -> Run:  # fmt: skip
    """Remove the rows that no policy keeps, or with `dry_run` only count them.

    One run at a time in a process. `start` is the position of an earlier one.
    """
    result = Run()
    if not _running.acquire(blocking=False):
        result.skipped = True
        return result
    try:
        end = time.monotonic() + seconds
        kind_name, position = start or ("", "")
        names = [kind.name for kind in KINDS]
        # A kind may be gone, after an update.
        first = names.index(kind_name) if kind_name in names else 0
        for index, kind in enumerate(KINDS[first:]):
            at = position if index == 0 else ""
            left = _run_kind(kind, at, end, result, dry_run, pause)
            if left is not None:
                result.position = kind.name, left
                break
    except background_work.Replaced:
        # A reset or restore: the next run begins with the new data.
        result.position = None
    finally:
        _running.release()
    return result


def _run_kind(
    kind: Kind, position: str, end: float, result: Run, dry_run: bool, pause: Callable[[float], Any]
) -> str | None:
    """Run the steps of a kind; return the position of the next one if the time is over."""
    generation, rows, at = background_work.generation(), max(MIN_ROWS, MAX_ROWS // 2), position
    failures = 0
    while (began := time.monotonic()) < end:
        try:
            with background_work.running(generation), transaction.atomic():
                step = kind.step(at, rows, dry_run=dry_run)
        except DatabaseError as error:
            failures += 1
            if failures < TRIES:
                pause(_PAUSE * (time.monotonic() - began))
                continue
            logger.warning(
                "Pruning of %s failed and continues with the next run: %s",
                kind.name, database_errors.summary(error),
            )  # fmt: skip
            result.failed.append(kind.name)
            return None
        failures = 0
        result.removed.update(step.removed)
        if step.next is None:
            return None
        at, took = step.next, time.monotonic() - began
        rows = _next_rows(rows, took)
        if not dry_run:
            pause(_PAUSE * took)
    return at


def _next_rows(rows: int, took: float) -> int:
    if took > TARGET:
        return max(MIN_ROWS, rows // 2)
    return min(MAX_ROWS, rows * 2) if took < TARGET / 2 else rows


def before(days: int) -> datetime | None:
    """Return the real time `days` ago; None for 0, which keeps everything."""
    return datetime.now(UTC) - timedelta(days=days) if days else None


@dataclass(frozen=True)
class ByAge:
    """Rows of a table that are removed `days` after the real time in a column; 0 keeps them.

    Its integer primary keys must grow with that time, so that the oldest rows are found without an
    index of it. `newest` is how many rows are kept at most (None: any number); `children` are the
    tables that refer to it, with the name of the field, whose rows are removed too.
    """

    name: str
    model: type[models.Model]
    time: str
    days: Callable[[], int]
    newest: Callable[[], int | None] = lambda: None
    children: Sequence[tuple[type[models.Model], str]] = ()

    def step(self, position: str, rows: int, *, dry_run: bool) -> Step:
        """Remove the next rows, the oldest first."""
        manager = self.model._base_manager
        table = manager.using(router.db_for_write(self.model))
        condition = self._condition(table)
        if condition is None:
            return Step({})
        last = int(position or 0)
        # All of them are read, and not only the old ones: what follows a young row is young.
        is_old = models.Case(models.When(condition, then=True), default=False)
        page = table.filter(pk__gt=last).annotate(is_old=is_old).order_by("pk")
        read = list(page.values_list("pk", "is_old")[:rows])
        ids = [pk for pk, old in read if old]
        removed = len(ids) if dry_run else self._remove(table, ids)
        ended = len(ids) < len(read) or len(read) < rows
        return Step({self.name: removed}, None if ended else str(read[-1][0]))

    def _condition(self, table: models.QuerySet[Any]) -> Q | None:
        """Return the condition for rows to remove; None if all are kept."""
        conditions = []
        if (oldest := before(self.days())) is not None:
            conditions.append(Q(**{f"{self.time}__lt": oldest}))
        if (newest := self.newest()) is not None:
            last = table.aggregate(last=Max("pk"))["last"] or 0
            conditions.append(Q(pk__lte=last - newest))
        return reduce(or_, conditions) if conditions else None

    def _remove(self, table: models.QuerySet[Any], ids: Sequence[int]) -> int:
        """Remove those of the rows that no other transaction holds; return how many."""
        free = table.filter(pk__in=ids).order_by("pk").select_for_update(skip_locked=True)
        locked = list(free.values_list("pk", flat=True)) if ids else []
        if not locked:
            return 0
        for model, name in self.children:
            rows = model._base_manager.using(table.db).filter(**{f"{name}__in": locked})
            rows._raw_delete(table.db)
        return int(table.filter(pk__in=locked)._raw_delete(table.db))
