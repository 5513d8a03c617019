"""Chunks: the part of an accepted usage file that goes to one hub."""

from __future__ import annotations

from datetime import datetime

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

from requests_queue import clock, ids
from requests_queue.queues.usage_file.models import UsageChunk, UsageFile, UsageRecord

READY, CLOSED = "ready", "closed"
# What distributors are billed: records that were accepted, whether closed already or not.
_PART = ("approved", "closed")


def make(file: UsageFile, now: datetime) -> None:
    """Create the chunks of a file that is accepted, one per hub; call with the file locked."""
    hubs = (
        UsageRecord.objects.filter(file=file, status__in=_PART, asset__isnull=False)
        .order_by("asset__connection__hub")
        .values_list("asset__connection__hub", flat=True)
        .distinct()
    )
    UsageChunk.objects.bulk_create(
        UsageChunk(
            pk=ids.next_in(file.pk, "UFC-", number), file=file, hub_id=hub, created=clock.shown(now)
        )
        for number, hub in enumerate(hubs)
    )


def records_of(chunk: UsageChunk) -> QuerySet[UsageRecord]:
    """Return the records of a chunk."""
    return UsageRecord.objects.filter(
        file=chunk.file_id, asset__connection__hub=chunk.hub_id, status__in=_PART
    )


def with_status(rows: QuerySet[UsageChunk]) -> QuerySet[UsageChunk]:
    """Return chunks with `status`: closed once no record of theirs waits for its billing."""
    waiting = Exists(_theirs().filter(status="approved"))
    found: QuerySet[UsageChunk] = rows.alias(
        part_status=Case(
            When(waiting, then=Value(READY)), default=Value(CLOSED), output_field=TextField()
        )
    )
    return found


def counted(rows: QuerySet[UsageChunk]) -> QuerySet[UsageChunk]:
    """Return chunks with how many of their records are how far, and when the last was closed."""
    last = _theirs().order_by().values("file").annotate(at=Max("closed_at")).values("at")
    found: QuerySet[UsageChunk] = rows.annotate(
        records=_count(Q()),
        accepted=_count(Q(status="approved")),
        closed=_count(Q(status="closed")),
        billed=_count(Q(status="closed") & ~Q(external_billing_id="")),
        closed_at=Subquery(last, output_field=DateTimeField()),
    )
    return found


def _theirs() -> QuerySet[UsageRecord]:
    return UsageRecord.objects.filter(
        file=OuterRef("file"), asset__connection__hub=OuterRef("hub"), status__in=_PART
    )


def _count(condition: Q) -> Coalesce:
    counts = _theirs().filter(condition).order_by().values("file").annotate(n=Count("pk"))
    return Coalesce(Subquery(counts.values("n"), output_field=IntegerField()), 0)
