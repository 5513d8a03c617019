"""Remove the rows of deleted webhooks in steps.

A webhook may have 100,000 deliveries. Deleting only marks it (`actions.delete`); its rows are
removed afterwards in short transactions, its own row last. If the process ends in between, the
webhook stays marked as deleted and the next run of any process continues. How runs and steps work
is in `requests_queue.db.retention`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from requests_queue.db import retention
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

STEP = 1000  # rows of a webhook that its deletion itself removes
AT_ONCE = 20  # webhooks of one deletion whose first step is part of it
SECONDS = 4.0  # of one run; the scheduler starts one every five
_running = threading.Lock()


def remove_now(webhook_ids: Sequence[str]) -> None:
    """Remove one step of each webhook that has just been deleted: usually all its rows."""
    for webhook_id in webhook_ids[:AT_ONCE]:
        _remove(webhook_id, STEP)


def remove_deleted(seconds: float = SECONDS, *, pause: Callable[[float], Any] = time.sleep) -> None:
    """Remove rows of deleted webhooks for some seconds; one run at a time in a process."""
    if not _running.acquire(blocking=False):
        return
    try:
        deleted = Webhook.with_deleted.filter(deleted_at__isnull=False).order_by("deleted_at", "pk")
        kinds = [_Deleted(pk) for pk in deleted.values_list("pk", flat=True)]
        retention.run(seconds, kinds=kinds, pause=pause)
    finally:
        _running.release()


@dataclass(frozen=True, slots=True)
class _Deleted:
    """The rows of a deleted webhook, as a kind of `retention`."""

    webhook_id: str

    @property
    def name(self) -> str:
        return f"the deleted webhook {self.webhook_id}"

    def step(self, position: str, rows: int, *, dry_run: bool) -> retention.Step:
        removed = _remove(self.webhook_id, rows)
        # There is no position: what is left is the beginning.
        return retention.Step({self.name: removed}, "" if removed else None)


@transaction.atomic
def _remove(webhook_id: str, rows: int) -> int:
    """Remove up to `rows` rows of a deleted webhook and return how many were removed.

    The webhook's own row is the last; 0 where nothing is left, or the rest is locked.
    """
    webhook = Webhook.with_deleted.filter(pk=webhook_id, deleted_at__isnull=False)
    # A restored snapshot may have it again.
    if not webhook.exists():
        return 0
    removed = 0
    for model in (ClearedBackoff, Event, Attempt):
        removed += retention.delete(model.objects.filter(webhook=webhook_id), rows - removed)
    has = [Exists(model.objects.filter(delivery=OuterRef("pk"))) for model in (Event, Attempt)]
    empty = Delivery.objects.filter(*(~each for each in has), webhook=webhook_id)
    removed += retention.delete(empty, rows - removed)
    if removed < rows and webhook.select_for_update(skip_locked=True).exists():
        # A statement of its own, so that it sees what was committed before the row was locked.
        removed += webhook.filter(deliveries=None).delete()[0]
    return removed
