"""Chunks, the part of an accepted usage file that goes to one hub, and their actions."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Exists,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from requests_queue import clock, ids, topics
from requests_queue.api.fields import Values
from requests_queue.catalog.actors import Actor
from requests_queue.errors import ActionNotAllowed
from requests_queue.queues import transitions
from requests_queue.queues.usage_file import reconciliations, records
from requests_queue.queues.usage_file.models import UsageChunk, UsageFile, UsageRecord
from requests_queue.signals import usage_records_closed

READY, CLOSED = "ready", "closed"
# Statuses of records that belong to a chunk: accepted, and closed or not.
_ACCEPTED = ("approved", "closed")


def create(file: UsageFile, now: datetime) -> None:
    """Create the chunks of an accepted file, one per hub; call with the file locked."""
    hubs = (
        UsageRecord.objects.filter(file=file, status__in=_ACCEPTED, asset__isnull=False)
        .order_by("asset__connection__hub")
        .values_list("asset__connection__hub", flat=True)
        .distinct()
    )
    for number, hub in enumerate(hubs):
        pk = ids.next_in(UsageChunk, file.pk, "UFC-", number)
        UsageChunk.objects.create(pk=pk, file=file, hub_id=hub, created=clock.shown(now))


def records_of(chunk: UsageChunk) -> QuerySet[UsageRecord]:
    """Return the records of a chunk."""
    return UsageRecord.objects.filter(
        file=chunk.file_id, asset__connection__hub=chunk.hub_id, status__in=_ACCEPTED
    )


def with_status(rows: QuerySet[UsageChunk]) -> QuerySet[UsageChunk]:
    """Return chunks with `part_status`: closed once all their records are closed."""
    is_open = Exists(_outer_records().filter(status="approved"))
    result: QuerySet[UsageChunk] = rows.alias(
        part_status=Case(
            When(is_open, then=Value(READY)), default=Value(CLOSED), output_field=TextField()
        )
    )
    return result


def with_counts(rows: QuerySet[UsageChunk]) -> QuerySet[UsageChunk]:
    """Return chunks with the numbers of their records, and when the last one was closed."""
    last = _outer_records().order_by().values("file").annotate(at=Max("closed_at")).values("at")
    result: QuerySet[UsageChunk] = rows.annotate(
        records=_count(Q()),
        accepted=_count(Q(status="approved")),
        closed=_count(Q(status="closed")),
        billed=_count(Q(status="closed") & ~Q(external_billing_id="")),
        closed_at=Subquery(last, output_field=DateTimeField()),
    )
    return result


def _outer_records() -> QuerySet[UsageRecord]:
    """Return the records of the outer query's chunk, for a subquery."""
    return UsageRecord.objects.filter(
        file=OuterRef("file"), asset__connection__hub=OuterRef("hub"), status__in=_ACCEPTED
    )


def _count(condition: Q) -> Coalesce:
    records = _outer_records().filter(condition).order_by()
    counts = records.values("file").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)


def rename(chunk: UsageChunk, values: Values, actor: Actor) -> None:
    """Set `external_id`; raises Forbidden."""
    records.require_distributor(actor, chunk.file, "chunks")
    UsageChunk.objects.filter(pk=chunk.pk).update(**values)


def close(chunk: UsageChunk, values: Values, actor: Actor) -> None:
    """Close all records of a chunk, and the file with its last records.

    Raises Forbidden, ActionNotAllowed where the chunk is closed already.
    """
    records.require_distributor(actor, chunk.file, "chunks")
    billing = {"external_billing_note": ""} | values
    with transaction.atomic():
        file = UsageFile.objects.select_for_update(of=("self",)).get(pk=chunk.file_id)
        now = clock.now()
        columns = reconciliations.closed_columns(actor, now) | billing
        approved = UsageRecord.objects.filter(
            pk__in=records_of(chunk).filter(status="approved").values("pk")
        )
        if file.status != "accepted" or not approved.update(**columns):
            raise ActionNotAllowed(f"{chunk.pk} is closed. Only ready chunks can be closed.")
        topics.announce_objects(file.parties(), file.pk)
        usage_records_closed.send(sender=UsageFile, file=file, at=now)
        if reconciliations.is_done(records.recount(file.pk)):
            transitions.move(UsageFile, file.pk, "close", actor)


def check_regenerated(chunk: UsageChunk, actor: Actor) -> None:
    """Check that a chunk can be regenerated; raises Forbidden, ActionNotAllowed.

    The workbook is built at each download, so there is nothing to write.
    """
    records.require_distributor(actor, chunk.file, "chunks")
    if not records_of(chunk).filter(status="approved").exists():
        raise ActionNotAllowed(f"{chunk.pk} is closed. Only ready chunks can be regenerated.")
