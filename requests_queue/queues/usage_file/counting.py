"""How many records of a file stand how: the file's counts, from which its progress is shown."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q

from requests_queue.queues.usage_file.models import UsageFile, UsageRecord

NOTHING = dict.fromkeys(
    ("uploaded", "validated", "invalid", "pending", "accepted", "closed", "billed"), 0
)


def of(file_pk: str) -> dict[str, int]:
    """Return the counts of a file's records, by the columns that hold them."""
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
    """Count anew, write it to the file, and return it."""
    counts = of(file_pk)
    UsageFile.objects.filter(pk=file_pk).update(**counts)
    return counts
