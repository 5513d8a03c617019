"""Numbers of a usage file's records by status; the file stores them to show its progress."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q

from requests_queue.queues.usage_file.models import UsageFile, UsageRecord

ZEROS = dict.fromkeys(
    ("uploaded", "validated", "invalid", "pending", "accepted", "closed", "billed"), 0
)


def count_records(file_pk: str) -> dict[str, int]:
    """Return the counts of a file's records by column of the file."""
    counts: dict[str, Any] = UsageRecord.objects.filter(file=file_pk).aggregate(
        uploaded=Count("pk"),
        validated=Count("pk"),
        invalid=Count("pk", filter=Q(status="invalid")),
        pending=Count("pk", filter=Q(status="valid")),
        accepted=Count("pk", filter=Q(status="approved")),
        closed=Count("pk", filter=Q(status="closed")),
        billed=Count("pk", filter=Q(status="closed") & ~Q(external_billing_id="")),
    )
    return counts


def recount(file_pk: str) -> dict[str, int]:
    """Count a file's records, store the counts on the file, and return them."""
    counts = count_records(file_pk)
    UsageFile.objects.filter(pk=file_pk).update(**counts)
    return counts
