"""Fan-out: insert tasks for queue changes, in the transaction of the changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db import connection, transaction

from extensions import definitions
from extensions.models import INSTALLED, NEW, Installation, Task
from extensions.signals import wake
from requests_queue.db import sql
from requests_queue.queues.transitions import Change


def record(changes: Iterable[Change]) -> None:
    """Record the changes of one transaction for the extensions that subscribe to them.

    An object whose task of this event type hasn't begun gets no second one: the runner reads the
    object when the task begins. The gateway is woken after the commit.
    """
    installations = installed()
    _add(
        [
            _task(installation, event_type.type, change.object_id, change.at)
            for change in (changes if installations else ())
            for event_type in definitions.matching(change.object_class, change.type)
            for installation in installations
            if _concerns(installation, change, event_type.type)
        ]
    )


def record_installation(installation: Installation, at: datetime) -> None:
    """Record that an installation has another status, for its own extension."""
    if _subscribes(installation, definitions.INSTALLATION_CHANGE, installation.status):
        _add([_task(installation, definitions.INSTALLATION_CHANGE, installation.pk, at)])


def _task(installation: Installation, event_type: str, object_id: str, at: datetime) -> Task:
    return Task(
        environment=installation.environment,
        installation=installation,
        event_type=event_type,
        category=definitions.BACKGROUND,
        object_id=object_id,
        status=NEW,
        created_at=at,
    )


def _add(rows: list[Task]) -> None:
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
    return [each for each in installed() if _concerns(each, change, event_type)]


def installed() -> list[Installation]:
    """Return all installations, in the order in which they are merged; without any, one query."""
    if not sql.has_row("extensions_installation", status=INSTALLED):
        return []
    rows = Installation.objects.filter(status=INSTALLED)
    rows = rows.select_related("environment__extension").order_by("pk")
    return list(rows.prefetch_related("environment__extension__products"))


def _concerns(installation: Installation, change: Change, event_type: str) -> bool:
    extension = installation.environment.extension
    if installation.account_id not in change.account_ids:
        return False
    if not _subscribes(installation, event_type, change.status_to):
        return False
    # Without products, an extension is for all, also for later ones.
    products = {each.pk for each in extension.products.all()}
    return not products or change.product_id in products


def _subscribes(installation: Installation, event_type: str, status: str) -> bool:
    statuses = installation.environment.subscriptions.get(event_type)
    return statuses is not None and (not statuses or status in statuses)
