"""Receivers of the platform's signals: queue changes, and what settling and the forecast ask."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from extensions import definitions, dispatch, fan_out, interactive, schedules
from extensions.signals import wake
from requests_queue import clock
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Product
from requests_queue.queues.transitions import Change
from requests_queue.queues.usage_file import chunks
from requests_queue.queues.usage_file.models import UsageChunk, UsageFile
from requests_queue.queues.validation import ValidationRequest
from requests_queue.signals import (
    changes_made,
    collect_busy,
    collect_next_due,
    collect_next_work,
    due_reached,
    product_changed,
    usage_chunks_created,
    usage_records_closed,
    validation_requested,
)


@receiver(changes_made)
def record_changes(changes: tuple[Change, ...], **kwargs: Any) -> None:
    """Record the changes of a transaction, in that transaction."""
    fan_out.record(changes)


@receiver(product_changed)
def record_product(product: Product, **kwargs: Any) -> None:
    """Record the change of a product for the extensions whose accounts see it."""
    accounts = {each.account for each in fan_out.installed()}
    seeing = [each.pk for each in accounts if _sees(each, product)]
    _record(definitions.PRODUCT, product.pk, product.pk, seeing, product.status, clock.now())


def _sees(account: Account, product: Product) -> bool:
    return visibility.products(account).filter(pk=product.pk).exists()


@receiver(usage_chunks_created)
def record_chunks(file: UsageFile, at: datetime, **kwargs: Any) -> None:
    """Record the chunks of a usage file that were created."""
    _record_chunks(file, file.chunks.all(), chunks.READY, at)


@receiver(usage_records_closed)
def record_closed_chunks(file: UsageFile, at: datetime, **kwargs: Any) -> None:
    """Record the chunks of a usage file whose last record was closed at that time."""
    if fan_out.installed():
        rows: Any = chunks.with_counts(file.chunks.all())
        closed = rows.filter(accepted=0, closed_at=clock.shown(at))
        _record_chunks(file, closed, chunks.CLOSED, at)


def _record_chunks(file: UsageFile, rows: Iterable[UsageChunk], status: str, at: datetime) -> None:
    for chunk in rows:
        _record(definitions.USAGE_CHUNK, chunk.pk, file.product_id, file.parties(), status, at)


def _record(
    object_class: str,
    pk: str,
    product_id: str,
    account_ids: Iterable[str],
    status: str,
    at: datetime,
) -> None:
    """Record that an object which is in no queue has a status."""
    change = Change(object_class, pk, product_id, tuple(account_ids), None, status, at)
    fan_out.record([change])


@receiver(validation_requested)
def validate(request: ValidationRequest, **kwargs: Any) -> list[Any]:
    """Call the extensions that validate, and return what their answers change."""
    return interactive.validate(request)


@collect_next_due.connect
def next_scheduled(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next schedule is due."""
    return schedules.next_due()


@collect_next_work.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next rescheduled, repeated or lost task is due."""
    return dispatch.next_due(now)


@collect_busy.connect
def unsettled(now: datetime, **kwargs: Any) -> set[str]:
    """Return labels of tasks that are processed, or due while a runner is there."""
    return dispatch.busy(now)


@due_reached.connect
def send_due(now: datetime, **kwargs: Any) -> None:
    """Insert the tasks of schedules that are due, and send what is due now."""
    schedules.run_due(now)
    dispatch.hand_back_overdue(now)
    wake.send(sender=None)
