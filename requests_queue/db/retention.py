"""Delete many rows in short transactions: those that their retention policy no longer keeps.

Each app registers what it has in `AppConfig.ready`:

    retention.KINDS.append(
        retention.ByAge("audit log", AuditEntry, "at", days=lambda: settings.SIM_KEEP_AUDIT_DAYS)
    )

A run goes from kind to kind in steps. Each step is one transaction of a bounded number of rows,
and between two steps others have the database to themselves. A run that ends early, because its
time is over or its process was killed, leaves nothing half-done: the next one continues. Runs at
the same time, in one process or several, don't disturb each other.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Protocol

from django.db import Error as DatabaseError
from django.db import models, transaction
from django.db.models import Max, Q

from requests_queue.db import background_work, database_errors

logger = logging.getLogger(__name__)

SECONDS = 4.0  # of one run of the scheduler, which then continues in another task
TARGET = 0.1  # seconds of a step: the number of its rows follows from what the last one took
# Rows of a step. With fewer of them a busy machine would remove fewer rows than it receives, since
# the statements of a step cost as much as some hundred rows.
MIN_ROWS, MAX_ROWS = 600, 3000
TRIES = 4  # of a step: another transaction may hold a row that it needs
_PAUSE = 2.0  # after a step, in durations of the step: SQLite has one writer at a time

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


def run(
    seconds: float = float("inf"),
    start: Position | None = None,
    *,
    kinds: Sequence[Kind] = KINDS,
    dry_run: bool = False,
    pause: Callable[[float], Any] = time.sleep,
) -> Run:
    """Remove the rows that no policy keeps, or with `dry_run` only count them.

    `start` is the position of an earlier run.
    """
    result = Run()
    end = time.monotonic() + seconds
    kind_name, position = start or ("", "")
    names = [kind.name for kind in kinds]
    # A kind may be gone, after an update.
    first = names.index(kind_name) if kind_name in names else 0
    try:
        for index, kind in enumerate(kinds[first:]):
            at = position if index == 0 else ""
            left = _run_kind(kind, at, end, result, dry_run, pause)
            if left is not None:
                result.position = kind.name, left
                break
    except background_work.Replaced:
        # A reset or restore: the next run begins with the new data.
        result.position = None
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
            now = time.monotonic()
            if failures < TRIES and now + (wait := _PAUSE * (now - began)) < end:
                pause(wait)
                continue
            logger.warning(
                "Pruning of %s failed and continues with the next run: %s",
                kind.name,
                database_errors.summary(error),
            )
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


def delete(rows: models.QuerySet[Any], limit: int) -> int:
    """Delete up to that many rows that no other transaction holds, and what refers to them.

    Return the number of deleted rows of this table, without cascades; call in a transaction.
    """
    free = rows.order_by().select_for_update(skip_locked=True).values_list("pk", flat=True)
    ids = list(free[:limit])
    # Large columns are not read.
    rows.model._base_manager.filter(pk__in=ids).only("pk").delete()
    return len(ids)


@dataclass(frozen=True)
class ByAge:
    """Rows of a table that are removed `days` after the real time in a column; 0 keeps them.

    Its integer primary keys must grow with that time, so that the oldest rows are found without an
    index of it. `newest` is how many rows are kept at most (None: any number).
    """

    name: str
    model: type[models.Model]
    time: str
    days: Callable[[], int]
    newest: Callable[[], int | None] = lambda: None

    def step(self, position: str, rows: int, *, dry_run: bool) -> Step:
        """Remove the next rows, the oldest first."""
        table = self.model._base_manager.order_by("pk")
        condition = self._condition(table)
        if condition is None:
            return Step({})
        last = int(position or 0)
        # All of them are read, and not only the old ones: what follows a young row is young.
        is_old = models.Case(models.When(condition, then=True), default=False)
        page = table.filter(pk__gt=last).annotate(is_old=is_old)
        read = list(page.values_list("pk", "is_old")[:rows])
        ids = [pk for pk, old in read if old]
        removed = len(ids) if dry_run else delete(table.filter(pk__in=ids), rows)
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
