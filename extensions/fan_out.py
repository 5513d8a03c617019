"""Fan-out: insert tasks for queue changes, in the transaction of the changes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from django.db import connection, transaction

from extensions import definitions
from extensions.models import NEW, Installation, Task
from extensions.signals import wake
from requests_queue.queues.transitions import Change


def record(changes: Iterable[Change]) -> None:
    """Record the changes of one transaction for the extensions that subscribe to them.

    An object whose task of this event type hasn't begun gets no second one: the runner reads the
    object when the task begins. The gateway is woken after the commit.
    """
    installations = _installations()
    rows = [
        Task(
            environment=installation.environment,
            installation=installation,
            event_type=event_type.type,
            category=event_type.category,
            object_id=change.object_id,
            status=NEW,
            created_at=change.at,
        )
        for change in (changes if installations else ())
        for event_type in definitions.matching(change.object_class, change.type)
        for installation in installations
        if _concerns(installation, change, event_type.type)
    ]
    if not rows:
        return
    # In the order of the unique index: two transactions that insert the same don't deadlock.
    rows.sort(key=_key)
    _insert(rows)
    transaction.on_commit(partial(wake.send, sender=None), robust=True)


def _key(row: Task) -> tuple[str, str, str]:
    return row.installation_id, row.event_type, row.object_id


def _insert(rows: list[Task]) -> None:
    """Insert tasks, except those of which there is one that hasn't begun; lock that one.

    Were it claimed before this transaction commits, its runner would read the object as it was.
    """
    while rows:
        Task.objects.bulk_create(rows, ignore_conflicts=True)
        if not connection.features.has_select_for_update:
            # SQLite: nothing is claimed during a transaction that writes.
            return
        waiting = Task.objects.filter(
            status=NEW,
            installation__in={row.installation_id for row in rows},
            object_id__in={row.object_id for row in rows},
        )
        locked = {_key(row) for row in waiting.select_for_update().order_by("pk")}
        rows = [row for row in rows if _key(row) not in locked]


def subscribers(change: Change, event_type: str) -> list[Installation]:
    """Return the installations that a change concerns, and whose runner subscribes to it."""
    return [each for each in _installations() if _concerns(each, change, event_type)]


def _installations() -> list[Installation]:
    """Return all installations, in the order in which they are merged; without any, one query."""
    rows = Installation.objects.select_related("environment__extension").order_by("pk")
    return list(rows.prefetch_related("environment__extension__products"))


def _concerns(installation: Installation, change: Change, event_type: str) -> bool:
    extension = installation.environment.extension
    statuses = installation.environment.subscriptions.get(event_type)
    if installation.account_id not in change.account_ids or statuses is None:
        return False
    if statuses and change.status_to not in statuses:
        return False
    # Without products, an extension is for all, also for later ones.
    products = {each.pk for each in extension.products.all()}
    return not products or change.product_id in products
